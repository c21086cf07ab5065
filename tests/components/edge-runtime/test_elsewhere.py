"""Targets that another environment builds: `make edge-targets` runs these, `make test` those that need no builder."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fairlead_contracts.edge_builders import COMMAND
from fairlead_edge.main import main
from fairlead_edge.targets import BUILT_ELSEWHERE, find_target
from fairlead_edge.targets.base import CannotBuild, CannotLoad, Ending, RunEnded
from fairlead_edge.targets.elsewhere import find_command

from tests.support import networks, onnx_models

BUILDS = pytest.mark.skipif(find_command() is None, reason=f"{COMMAND} is not installed: make edge-targets")
EXAMPLES = networks.draw(64, 5)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(networks.network(networks.make_weights()))
    return tmp_path / "model.onnx"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that installs a builder, whose script fails as one can."""

    def run(script: str) -> None:
        file = tmp_path / "bin" / COMMAND
        file.parent.mkdir()
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        monkeypatch.setenv("PATH", f"{file.parent}:{os.environ['PATH']}")

    return run


@pytest.mark.parametrize("name", BUILT_ELSEWHERE)
def test_a_builder_that_is_not_installed_is_named(source: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CannotBuild, match=f"{COMMAND} is not installed: see docs/guides/edge.md"):
        find_target(name).build(source, source.parent, EXAMPLES)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (
            "echo noise >&2; echo 'no counterpart of Det (node det)' >&2; exit 3",
            r"^no counterpart of Det \(node det\)$",
        ),
        ("kill -9 $$", "ended with status -9: no message"),
    ],
    ids=["rejects", "crashes"],
)
def test_what_a_builder_says_last_is_the_reason(
    source: Path, install: Callable[[str], None], script: str, reason: str
) -> None:
    install(script)
    with pytest.raises(CannotBuild, match=reason):
        find_target("litert").build(source, source.parent, EXAMPLES)


def test_a_builder_gets_none_of_the_stores_credentials(
    source: Path, install: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    install('echo "got:$AWS_SECRET_ACCESS_KEY" >&2; exit 3')
    with pytest.raises(CannotBuild, match=r"^got:$"):
        find_target("litert").build(source, source.parent, EXAMPLES)


def test_a_process_that_cannot_run_executorch_is_named(install: Callable[[str], None]) -> None:
    install("exit 1")
    with pytest.raises(CannotLoad, match="ExecuTorch cannot load the model"):
        # more than a pipe holds: the process ends before it has read it
        find_target("executorch").load({"model.pte": bytes(1 << 20)}, 1)


@BUILDS
@pytest.mark.parametrize("name", ["litert", "litert-int8", "executorch"])
def test_a_target_is_published_and_answers_as_its_source(
    build: Callable[..., int], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(name) == 0, capsys.readouterr().err


@BUILDS
def test_core_ml_is_built_and_not_run(
    tmp_path: Path, build: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert build("coreml", "--keep", str(tmp_path / "kept"), compare=True) == 0
    assert "target coreml: not run: built " in capsys.readouterr().out
    assert (tmp_path / "kept" / "coreml" / "model.mlpackage.zip").stat().st_size > 1000
    uris = [(tmp_path / "store" / name).as_uri() for name in ("model", "data", "bundle")]
    arguments = ["--target", "coreml", "--model", uris[0], "--dataset", uris[1], "--out-uri", uris[2]]
    assert main(["build", *arguments]) == 1
    assert not (tmp_path / "store" / "bundle").exists()


@BUILDS
def test_what_cannot_be_expressed_is_named_by_node(tmp_path: Path) -> None:
    nodes = [onnx_models.node("Det", ["x"], ["y"])]
    (tmp_path / "model.onnx").write_bytes(
        onnx_models.model(nodes, [("x", "FP32", ["n", 2, 2])], [("y", "FP32", ["n"])])
    )
    with pytest.raises(CannotBuild, match=r"no counterpart of Det \(node ->y\)"):
        find_target("litert").build(tmp_path / "model.onnx", tmp_path, np.ones((16, 2, 2), np.float32))


@BUILDS
def test_a_run_of_executorch_ends_with_its_process(source: Path) -> None:
    target = find_target("executorch")
    target.build(source, source.parent, EXAMPLES)
    session = target.load({"model.pte": (source.parent / "model.pte").read_bytes()}, 1)
    assert [(spec.name, spec.datatype, spec.shape) for spec in session.inputs] == [("input_0", "FP32", [1, 16])]
    ending = Ending()
    ending.end()
    with pytest.raises(RunEnded):
        session.run({"input_0": EXAMPLES[:1]}, ending)


def make_text_model() -> bytes:
    """Return a model of eight tokens: the mean of their words' weights is the score of each class."""
    words = np.random.default_rng(2).normal(size=(50, 4)).astype(np.float32)
    nodes = [
        onnx_models.node("Gather", ["words", "tokens"], ["found"]),
        onnx_models.node("ReduceSum", ["found", "axis"], ["logits"], keepdims=0),
    ]
    tensors = [onnx_models.tensor("words", words), onnx_models.tensor("axis", np.array([1], np.int64))]
    return onnx_models.model(nodes, [("tokens", "INT64", ["n", 8])], [("logits", "FP32", ["n", 4])], tensors)


def make_texts() -> dict[str, np.ndarray]:
    """Return held-out tokens, and the classes that the model predicts."""
    words = np.random.default_rng(2).normal(size=(50, 4)).astype(np.float32)
    tokens = np.random.default_rng(6).integers(0, 50, (1000, 8))
    scores = words[tokens].sum(axis=1)
    best = np.sort(scores, axis=1)
    clear = np.flatnonzero(best[:, -1] - best[:, -2] > 0.3)[:400]
    return {"x": tokens[clear], "y": scores[clear].argmax(axis=1)}


@pytest.mark.parametrize(
    "name",
    [
        "onnx",
        "onnx-int8-dynamic",
        "onnx-int8",
        *(pytest.param(name, marks=BUILDS) for name in ("litert", "executorch")),
    ],
)
def test_a_model_of_tokens_is_published(
    build: Callable[..., int], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = make_texts()
    half = {key: values[:100] for key, values in texts.items()}
    rest = {key: values[100:] for key, values in texts.items()}
    splits = {"calibration": half}
    assert build(name, "--calibration-split", "calibration", source=make_text_model(), splits=splits, **rest) == 0, (
        capsys.readouterr().err
    )


def test_a_token_with_a_fraction_is_rejected(build: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    texts = make_texts()
    splits = {"calibration": {key: values[:100] for key, values in texts.items()}}
    texts["x"] = texts["x"] + 0.5
    assert build("onnx", "--calibration-split", "calibration", source=make_text_model(), splits=splits, **texts) == 1
    assert "input tokens: got values with a fraction, expected INT64" in capsys.readouterr().err
