"""Conversion of real torch programs: equal outputs in ONNX Runtime, or a rejection without an artifact."""

import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from fairlead_artifacts import fetch, publish, read_manifest
from fairlead_contracts.termination import SuccessReport, read_report
from fairlead_onnx_converter.main import main
from torch import nn

from tests.support.outages import interrupt_store

CLASSES, ROWS = 3, 40


class Classifier(nn.Module):
    """Classifies pictures by three levels of brightness; the weights are set, not learned."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.head = nn.Linear(1, CLASSES)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[-10.0], [0.0], [10.0]]))
            self.head.bias.copy_(torch.tensor([3.0, 0.0, -7.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        noise: torch.Tensor = torch.tanh(self.conv(x)).flatten(1).mean(dim=1, keepdim=True) * 1e-3
        return self.head(x.flatten(1).mean(dim=1, keepdim=True) + noise)


class TwoInTwoOut(nn.Module):
    def forward(self, left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return left + right, left.sum(dim=1)


class Eigenvalues(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.eigvals(x).real


@pytest.fixture
def dataset(tmp_path: Path) -> str:
    """Publish pictures of brightness 0.1, 0.5 and 0.9 times 10; the model expects them divided by 10."""
    folder, uri = tmp_path / "data", (tmp_path / "store" / "data").as_uri()
    folder.mkdir()
    generator = np.random.default_rng(0)
    labels = np.arange(ROWS) % CLASSES
    levels = np.array([1.0, 5.0, 9.0])[labels][:, None, None, None]
    pictures = (levels + generator.uniform(-0.5, 0.5, (ROWS, 1, 6, 6))).astype(np.float32)
    left, right = generator.normal(size=(2, ROWS, 5)).astype(np.float32)
    np.savez(folder / "eval.npz", x=pictures, y=labels, left=left, right=right)
    publish(folder, uri, kind="dataset", producer="tests/0")
    return uri


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., str]:
    """Return a function that publishes a torch module as a model, as a training job does, and returns its URI."""

    def run(
        module: nn.Module, inputs: dict[str, tuple[int, ...]], outputs: dict[str, list[int]], *, free: bool = True
    ) -> str:
        folder, uri = tmp_path / "model", (tmp_path / "store" / "model").as_uri()
        folder.mkdir()
        batch = torch.export.Dim("batch")
        shapes = tuple({0: batch} for _ in inputs) if free else None
        examples = tuple(torch.zeros(shape) for shape in inputs.values())
        torch.export.save(
            torch.export.export(module.eval(), examples, dynamic_shapes=shapes, strict=False), folder / "model.pt2"
        )
        signature = {
            "inputs": [{"name": name, "dtype": "FP32", "shape": [-1, *shape[1:]]} for name, shape in inputs.items()],
            "outputs": [{"name": name, "dtype": "FP32", "shape": shape} for name, shape in outputs.items()],
        }
        (folder / "signature.json").write_text(json.dumps(signature))
        publish(folder, uri, kind="model", producer="tests/0")
        return uri

    return run


@pytest.fixture
def model(save: Callable[..., str]) -> str:
    return save(Classifier(), {"image": (2, 1, 6, 6)}, {"logits": [-1, CLASSES]})


def convert(tmp_path: Path, model: str, dataset: str, *more: str) -> tuple[int, str]:
    """Run the conversion in this process; return its status and the URI for the result."""
    out = (tmp_path / "store" / "onnx").as_uri()
    return main(["--model", model, "--dataset", dataset, "--out-uri", out, *more]), out


def absent(tmp_path: Path) -> bool:
    return not (tmp_path / "store" / "onnx").exists()


def test_a_classifier_is_published_with_its_parity_and_origin(tmp_path: Path, model: str, dataset: str) -> None:
    uri, result = (tmp_path / "store" / "onnx").as_uri(), tmp_path / "out" / "result.json"
    digests = [read_manifest(source).digest for source in (model, dataset)]
    command = [str(Path(sys.executable).with_name("fairlead-onnx-converter")), "--model", model, "--dataset", dataset]
    command += ["--digest", digests[0], "--dataset-digest", digests[1], "--scale", "0.1", "--out-uri", uri]
    done = subprocess.run([*command, "--out", result], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    manifest = fetch(uri, tmp_path / "fetched", json.loads(result.read_text())["digest"])
    assert manifest.kind == "onnx-model"
    assert [(parent.name, parent.digest) for parent in manifest.parents] == [
        ("dataset", digests[1]),
        ("model", digests[0]),
    ]
    assert manifest.signature is not None
    assert manifest.signature.to_json() == {
        "inputs": [{"name": "image", "dtype": "FP32", "shape": [-1, 1, 6, 6]}],
        "outputs": [{"name": "logits", "dtype": "FP32", "shape": [-1, CLASSES]}],
    }
    parity = json.loads((tmp_path / "fetched" / "parity.json").read_text())
    assert parity == manifest.parameters
    assert (parity["examples"], parity["onnx_accuracy"], parity["outside_tolerance"]) == (ROWS, 1.0, 0)

    session = ort.InferenceSession(tmp_path / "fetched" / "model.onnx")
    picture = np.random.default_rng(5).random((3, 1, 6, 6), np.float32)
    with torch.no_grad():
        expected = Classifier()(torch.from_numpy(picture)).numpy()
    np.testing.assert_allclose(session.run(["logits"], {"image": picture})[0], expected, atol=1e-5)
    assert session.get_inputs()[0].shape[0] == "batch"


def test_equal_conversions_are_equal_artifacts_without_traces_of_the_machine(
    tmp_path: Path, model: str, dataset: str
) -> None:
    for _ in range(2):
        # Other content at the same URI would be rejected.
        assert convert(tmp_path, model, dataset, "--scale", "0.1")[0] == 0
    content = (tmp_path / "store" / "onnx" / "model.onnx").read_bytes()
    assert b".py" not in content
    assert str(tmp_path).encode() not in content


def test_too_low_an_accuracy_is_rejected_with_its_figures(
    tmp_path: Path, model: str, dataset: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _ = convert(tmp_path, model, dataset)  # without the scale, all pictures look bright
    assert status == 2
    assert "accuracy 0.3250, expected at least 0.95" in capsys.readouterr().err
    assert absent(tmp_path)


def test_values_out_of_tolerance_are_rejected_with_their_figures(
    tmp_path: Path, model: str, dataset: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # Runtimes add floats in different orders: without a tolerance, these differences are out of bounds.
    status, _ = convert(tmp_path, model, dataset, "--scale", "0.1", "--atol", "0", "--rtol", "0")
    assert status == 2
    message = capsys.readouterr().err
    assert "of 120 output values differ by more than atol 0 + rtol 0 (largest difference" in message
    assert absent(tmp_path)


def test_several_inputs_and_outputs_keep_their_names(tmp_path: Path, save: Callable[..., str], dataset: str) -> None:
    uri = save(TwoInTwoOut(), {"left": (2, 5), "right": (2, 5)}, {"sum": [-1, 5], "total": [-1]})
    assert convert(tmp_path, uri, dataset, "--min-accuracy", "0")[0] == 0
    session = ort.InferenceSession(tmp_path / "store" / "onnx" / "model.onnx")
    ones = np.ones((3, 5), np.float32)
    total, added = session.run(["total", "sum"], {"right": 2 * ones, "left": ones})
    np.testing.assert_allclose(added, 3 * ones)
    np.testing.assert_allclose(total, [5, 5, 5])


class _Bomb:
    def __init__(self, trace: Path) -> None:
        self.trace = str(trace)

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (self.trace,))


def test_a_pickle_in_a_model_is_never_run(
    tmp_path: Path, model: str, dataset: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trace, bad, uri = tmp_path / "ran", tmp_path / "bad", (tmp_path / "store" / "bad").as_uri()
    fetch(model, bad)
    original = (bad / "model.pt2").read_bytes()
    payload = pickle.dumps(_Bomb(trace))
    replaced = 0
    with zipfile.ZipFile(tmp_path / "model" / "model.pt2") as source, zipfile.ZipFile(bad / "model.pt2", "w") as target:
        for name in source.namelist():
            content = source.read(name)
            is_torch = content[:2] == b"PK" or "/weights/" in name or name.endswith((".pt", ".pkl"))
            replaced += is_torch
            target.writestr(name, payload if is_torch else content)
    assert replaced
    assert (bad / "model.pt2").read_bytes() != original
    publish(bad, uri, kind="model", producer="tests/0")
    assert convert(tmp_path, uri, dataset)[0] == 1
    assert "model.pt2: torch" in capsys.readouterr().err
    assert not trace.exists()
    assert absent(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("model.pt2", b"cut", "model.pt2: is not an intact zip archive"),
        ("model.pt2", None, "model: got signature.json, expected one of model.pt2"),
        ("signature.json", b"{}", "signature.json: expected inputs and outputs with name, dtype and shape"),
        ("signature.json", b"[", "signature.json: expected inputs and outputs"),
    ],
)
def test_an_incomplete_model_is_rejected_by_file(
    tmp_path: Path, model: str, dataset: str, name: str, content: bytes | None, reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    bad, uri = tmp_path / "bad", (tmp_path / "store" / "bad").as_uri()
    fetch(model, bad)
    (bad / name).unlink()
    if content is not None:
        (bad / name).write_bytes(content)
    publish(bad, uri, kind="model", producer="tests/0")
    assert convert(tmp_path, uri, dataset)[0] == 1
    assert reason in capsys.readouterr().err


def test_a_fixed_batch_size_is_detected(
    tmp_path: Path, save: Callable[..., str], dataset: str, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = save(Classifier(), {"image": (2, 1, 6, 6)}, {"logits": [-1, CLASSES]}, free=False)
    assert convert(tmp_path, uri, dataset, "--scale", "0.1")[0] == 1
    assert "the torch program failed on the split" in capsys.readouterr().err
    assert absent(tmp_path)


def test_a_program_that_onnx_cannot_represent_is_rejected_with_torchs_reason(
    tmp_path: Path, save: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, data = tmp_path / "square", (tmp_path / "store" / "square").as_uri()
    folder.mkdir()
    np.savez(folder / "eval.npz", x=np.ones((4, 3, 3), np.float32))
    publish(folder, data, kind="dataset", producer="tests/0")
    uri = save(Eigenvalues(), {"x": (2, 3, 3)}, {"values": [-1, 3]})
    assert convert(tmp_path, uri, data, "--min-accuracy", "0")[0] == 1
    assert "cannot export it to ONNX" in capsys.readouterr().err


def test_wrong_kinds_digests_splits_and_shapes_are_rejected(
    tmp_path: Path, model: str, dataset: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = "sha256:" + "0" * 64
    cases = [
        ((dataset, dataset), "is of kind 'dataset', expected 'model'"),
        ((model, dataset, "--digest", wrong), f"expected {wrong}"),
        ((model, dataset, "--dataset-digest", wrong), f"expected {wrong}"),
        ((model, dataset, "--split", "test"), "dataset: got eval.npz, expected test.npz"),
    ]
    for arguments, reason in cases:
        assert convert(tmp_path, *arguments)[0] == 1
        assert reason in capsys.readouterr().err
    folder, uri = tmp_path / "flat", (tmp_path / "store" / "flat").as_uri()
    folder.mkdir()
    np.savez(folder / "eval.npz", x=np.zeros((4, 36), np.float32), y=np.zeros(4, np.int64))
    publish(folder, uri, kind="dataset", producer="tests/0")
    assert convert(tmp_path, model, uri)[0] == 1
    assert "eval.npz: x has shape [-1, 36], expected [-1, 1, 6, 6]" in capsys.readouterr().err
    assert absent(tmp_path)


def test_a_converted_model_is_published_after_an_outage_of_the_store(
    tmp_path: Path, model: str, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = interrupt_store(monkeypatch, (tmp_path / "store" / "onnx").as_uri())
    status, uri = convert(tmp_path, model, dataset, "--scale", "0.1")
    assert (status, failed) == (0, ["read_manifest", "write"])
    assert read_manifest(uri).kind == "onnx-model"


def test_a_scaler_is_published_after_an_outage_of_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = (tmp_path / "store" / "scaler").as_uri()
    failed = interrupt_store(monkeypatch, uri)
    assert main(["scaler", "--scale", "2", "--shape", "1", "--out-uri", uri]) == 0
    assert failed == ["read_manifest", "write"]
    assert read_manifest(uri).parameters == {"scale": 2, "offset": 0}


def test_a_scaler_computes_value_times_scale_plus_offset(tmp_path: Path) -> None:
    uri = (tmp_path / "store" / "scaler").as_uri()
    arguments = ["scaler", "--scale", "0.0625", "--offset", "-0.5", "--shape", "1,8,8", "--out-uri", uri]
    assert main(arguments) == 0
    manifest = read_manifest(uri)
    assert manifest.signature is not None
    assert manifest.signature.to_json()["inputs"] == [{"name": "raw", "dtype": "FP32", "shape": [-1, 1, 8, 8]}]
    path = tmp_path / "store" / "scaler" / "model.onnx"
    onnx.checker.check_model(str(path), full_check=True)
    raw = np.random.default_rng(1).uniform(0, 16, (3, 1, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(ort.InferenceSession(path).run(None, {"raw": raw})[0], raw / 16 - 0.5, rtol=1e-6)
    assert main(arguments) == 0


def test_an_operator_reads_a_report_of_what_was_published(tmp_path: Path, model: str, dataset: str) -> None:
    log = tmp_path / "termination-log"
    status, uri = convert(tmp_path, model, dataset, "--scale", "0.1", "--termination-log", str(log))
    assert status == 0
    report = read_report(log.read_text())
    assert isinstance(report, SuccessReport)
    assert report.model is not None
    assert (report.model.uri, report.model.digest) == (uri, read_manifest(uri).digest)


def test_a_rejected_conversion_writes_no_report(tmp_path: Path, model: str, dataset: str) -> None:
    log = tmp_path / "termination-log"
    more = ("--min-examples", "1000000", "--termination-log", str(log))
    assert convert(tmp_path, model, dataset, "--scale", "0.1", *more)[0] == 2
    assert not log.exists()


def test_a_conversion_that_was_ended_before_its_report_is_not_made_again(
    tmp_path: Path, model: str, dataset: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pins = ("--digest", read_manifest(model).digest, "--dataset-digest", read_manifest(dataset).digest)
    words = ("--scale", "0.1", *pins, "--resume")
    first, uri = convert(tmp_path, model, dataset, *words)
    assert (first, "accuracy in ONNX Runtime" in capsys.readouterr().out) == (0, True)
    log = tmp_path / "termination-log"
    assert convert(tmp_path, model, dataset, *words, "--termination-log", str(log))[0] == 0
    said = capsys.readouterr().out
    assert ("accuracy in ONNX Runtime" in said, read_manifest(uri).digest in said) == (False, True)
    assert read_manifest(uri).digest in log.read_text()
    # with other limits it is another conversion, which is made, and has other content
    assert convert(tmp_path, model, dataset, *words, "--min-accuracy", "0.5")[0] == 1
