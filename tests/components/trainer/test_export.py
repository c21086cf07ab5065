"""Saved models: loaded without running the author's code, with any batch size."""

import json
from pathlib import Path

import pytest
import torch
from fairlead_trainer import save_model
from torch import nn


class TwoInputs(nn.Module):
    """A module of two inputs and two outputs."""

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return left + right, (left > right).to(torch.int64)


def test_a_saved_model_returns_equal_outputs_for_any_batch_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Dropout(0.5), nn.Linear(4 * 36, 10))
    monkeypatch.setenv("FAIRLEAD_MODEL_DIR", str(tmp_path))
    save_model(module, {"image": torch.rand(2, 1, 8, 8)}, outputs=["logits"])
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "1")
    loaded = torch.export.load(tmp_path / "model.pt2").module()
    for size in (1, 2, 7):
        images = torch.rand(size, 1, 8, 8)
        assert torch.equal(loaded(images), module(images))
    assert json.loads((tmp_path / "signature.json").read_text()) == {
        "inputs": [{"name": "image", "dtype": "FP32", "shape": [-1, 1, 8, 8]}],
        "outputs": [{"name": "logits", "dtype": "FP32", "shape": [-1, 10]}],
    }


def test_a_saved_model_holds_the_examples_alone_and_not_the_tensor_that_they_are_a_part_of(tmp_path: Path) -> None:
    training = torch.rand(10_000, 4)
    save_model(nn.Linear(4, 2), {"image": training[:2]}, folder=tmp_path)
    assert (tmp_path / "model.pt2").stat().st_size < training.nbytes / 2


def test_several_inputs_and_outputs_keep_their_order_and_types(tmp_path: Path) -> None:
    save_model(TwoInputs(), {"a": torch.rand(2, 3), "b": torch.rand(2, 3)}, outputs=["sum", "more"], folder=tmp_path)
    signature = json.loads((tmp_path / "signature.json").read_text())
    assert [tensor["name"] for tensor in signature["inputs"]] == ["a", "b"]
    assert [(tensor["name"], tensor["dtype"]) for tensor in signature["outputs"]] == [
        ("sum", "FP32"),
        ("more", "INT64"),
    ]
    loaded = torch.export.load(tmp_path / "model.pt2").module()
    left, right = torch.rand(5, 3), torch.rand(5, 3)
    assert torch.equal(loaded(left, right)[0], left + right)


class Columns(nn.Module):
    """A module of as many inputs as a table has columns."""

    def forward(self, first: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        return torch.cat((first, *others), dim=1).sum(1, keepdim=True)


@pytest.mark.parametrize("names", ["a", "ab", "abc"])
def test_a_module_may_accept_any_number_of_inputs(tmp_path: Path, names: str) -> None:
    columns = {name: torch.rand(2, 1) for name in names}
    save_model(Columns(), columns, outputs=["sum"], folder=tmp_path)
    loaded = torch.export.load(tmp_path / "model.pt2").module()
    rows = [torch.rand(5, 1) for _ in columns]
    assert torch.equal(loaded(*rows), sum(rows))


@pytest.mark.parametrize(
    ("inputs", "outputs", "reason"),
    [
        (
            {"x": torch.rand(1, 3)},
            ["y"],
            r"inputs\['x'\]: got shape \[1, 3\], expected a first dimension of at least 2",
        ),
        ({"x": torch.tensor(1.0)}, ["y"], r"inputs\['x'\]: got shape \[\]"),
        ({"x": torch.rand(2, 3)}, ["y", "z"], "outputs: got 2 names, expected 1"),
    ],
)
def test_a_model_that_cannot_be_described_is_rejected(
    tmp_path: Path, inputs: dict[str, torch.Tensor], outputs: list[str], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        save_model(nn.Identity(), inputs, outputs=outputs, folder=tmp_path)
