"""No ruined model passes the parity gate, and every honest target does."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_artifacts import publish
from fairlead_contracts.edge_parity import EdgeParityTable, parse_table
from fairlead_edge import build as building
from fairlead_edge.main import main
from fairlead_edge.targets import TARGETS, find_target
from fairlead_edge.targets.base import Target

from tests.support import networks
from tests.support.networks import CLASSES, HIDDEN, SIZE, Weights, network

SOURCE = networks.make_weights()
RANDOM = np.random.default_rng(5)


def change(**arrays: Any) -> bytes:
    """Return the source with other weights."""
    return network(SOURCE | arrays)


def swap(one: int, other: int) -> bytes:
    order = np.arange(CLASSES)
    order[[one, other]] = other, one
    return change(w2=SOURCE["w2"][:, order], b2=SOURCE["b2"][order])


RUINS: dict[str, tuple[bytes, str]] = {
    "shuffled weights": (change(w1=RANDOM.permutation(SOURCE["w1"].ravel()).reshape(SIZE, HIDDEN)), "accuracy drops"),
    "shuffled last layer": (change(w2=RANDOM.permutation(SOURCE["w2"])), "accuracy drops"),
    "a layer of zeros": (change(w1=np.zeros((SIZE, HIDDEN))), "the target's accuracy is at least"),
    "lost biases": (change(b1=np.zeros(HIDDEN), b2=np.zeros(CLASSES)), "accuracy drops"),
    "lost biases of the last layer": (change(b2=np.zeros(CLASSES)), "standard deviations is"),
    "two classes swapped": (swap(1, 4), "class 1: accuracy drops by 0.9"),
    "classes off by one": (
        change(w2=np.roll(SOURCE["w2"], 1, axis=1), b2=np.roll(SOURCE["b2"], 1)), "agreement is 0.0000"
    ),
    "outputs of half the scale": (change(w2=SOURCE["w2"] / 2, b2=SOURCE["b2"] / 2), "standard deviations is"),
    "inputs of another scale": (change(w1=SOURCE["w1"] * 0.1), "accuracy drops"),
    "inputs in another order": (change(w1=SOURCE["w1"][::-1]), "accuracy drops"),
    "noise": (change(w1=SOURCE["w1"] + RANDOM.normal(0, 0.1, (SIZE, HIDDEN))), "accuracy drops"),
    "a constant answer": (change(w2=np.zeros((HIDDEN, CLASSES))), "more than chance"),
    "another activation": (network(SOURCE, "Tanh"), "accuracy drops"),
    "another network": (network(networks.make_weights(4)), "accuracy drops"),
    "a weight of not-a-number": (change(b2=np.where(np.arange(CLASSES) == 2, np.nan, SOURCE["b2"])), "is nan"),
    "answers that depend on the batch": (network(SOURCE, centered=True), "one at a time, the mean difference"),
}  # fmt: skip


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., int]:
    """Return a function that publishes a source and a dataset, and builds a bundle of them."""

    def run(target: str, *more: str, source: bytes = b"", data: Weights = SOURCE, **arrays: Any) -> int:
        folder = tmp_path / "model"
        folder.mkdir()
        (folder / "model.onnx").write_bytes(source or network(SOURCE))
        publish(folder, (tmp_path / "store" / "model").as_uri(), kind="onnx-model", producer="tests/0")
        networks.write_dataset(tmp_path / "data", data, **arrays)
        publish(tmp_path / "data", (tmp_path / "store" / "data").as_uri(), kind="dataset", producer="tests/0")
        uris = [(tmp_path / "store" / name).as_uri() for name in ("model", "data", "bundle")]
        return main(
            ["build", "--target", target, "--model", uris[0], "--dataset", uris[1], "--out-uri", uris[2], *more]
        )

    return run


def replace_build(monkeypatch: pytest.MonkeyPatch, build: Callable[..., None]) -> None:
    """Let targets build what `build` does."""

    def find_changed(name: str) -> Target:
        return dataclasses.replace(find_target(name), build=build)

    monkeypatch.setattr(building, "find_target", find_changed)


@pytest.mark.parametrize("target", TARGETS)
def test_an_honest_target_passes(tmp_path: Path, build: Callable[..., int], target: str) -> None:
    assert build(target) == 0
    table = parse_table((tmp_path / "store" / "bundle" / "parity.json").read_bytes(), "parity.json")
    assert isinstance(table, EdgeParityTable)
    assert table.relative_mean_difference < table.budget.max_relative_difference / 2


@pytest.mark.parametrize("ruin", RUINS)
def test_a_ruined_target_is_not_published(
    tmp_path: Path,
    build: Callable[..., int],
    ruin: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content, reason = RUINS[ruin]
    replace_build(monkeypatch, lambda _source, folder, _examples: (folder / "model.onnx").write_bytes(content))
    assert build("onnx") == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "store" / "bundle").exists()


@pytest.mark.parametrize("factor", [0.01, 1000.0])
def test_int8_calibrated_with_examples_of_another_scale_is_not_published(
    tmp_path: Path,
    build: Callable[..., int],
    factor: float,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    honest = find_target("onnx-int8").build
    replace_build(monkeypatch, lambda source, folder, examples: honest(source, folder, examples * np.float32(factor)))
    assert build("onnx-int8") == 2
    assert "accuracy drops" in capsys.readouterr().err
    assert not (tmp_path / "store" / "bundle").exists()


def test_a_rare_class_that_is_lost_is_found_whatever_the_whole_loses(
    build: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    b2 = SOURCE["b2"] - np.where(np.arange(CLASSES) == 2, 1e3, 0)
    replace_build(monkeypatch, lambda _source, folder, _examples: (folder / "model.onnx").write_bytes(change(b2=b2)))
    limits = {"max-drop": 1, "min-agreement": 0, "max-relative-difference": 1e9}
    assert build("onnx", *(f"--{name}={limit}" for name, limit in limits.items())) == 2
    assert capsys.readouterr().err.startswith("fairlead-edge: rejected: class 2: accuracy drops by ")


@pytest.mark.parametrize(
    ("source", "data"),
    [
        (network(networks.make_weights(4)), SOURCE),
        (change(w2=np.zeros((HIDDEN, CLASSES))), SOURCE),
    ],
    ids=["trained for something else", "constant"],
)
def test_a_source_that_answers_at_random_never_passes(
    build: Callable[..., int], source: bytes, data: Weights, capsys: pytest.CaptureFixture[str]
) -> None:
    generous = ["--max-drop", "1", "--min-agreement", "0", "--min-examples", "1", "--max-relative-difference", "1e9"]
    assert build("onnx", *generous, source=source, data=data) == 2
    assert "the source's accuracy is at least" in capsys.readouterr().err


def test_labels_that_are_off_by_one_are_a_source_that_answers_at_random(
    build: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    _, y = networks.make_examples(SOURCE, 600, 12)
    assert build("onnx", y=(y + 1) % CLASSES) == 2
    assert "the source's accuracy is at least 0.0" in capsys.readouterr().err
