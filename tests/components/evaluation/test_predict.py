"""`fairlead-evaluation predict`: what a model answers for each example, as an artifact."""

import json
from typing import Any

import numpy as np
import pytest
from fairlead_artifacts import ArtifactNotFound, fetch, publish, read_manifest
from fairlead_contracts.signature import Signature, TensorSignature
from fairlead_evaluation.main import main

from tests.support import onnx_models as onnx

from .conftest import Make, Store

SCORES = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)


def predict(store: Store, name: str, *flags: str) -> int:
    words = ["--model", store.model, "--dataset", store.dataset, "--out-uri", f"{store.folder.as_uri()}/store/{name}"]
    return main(["predict", *words, *flags])


def test_predictions_are_an_artifact_with_its_parents(make: Make) -> None:
    store = make(x=SCORES, y=np.arange(300) % 3)
    out = store.folder / "out.json"
    assert predict(store, "predictions", "--out", str(out)) == 0
    result: dict[str, Any] = json.loads(out.read_text())
    manifest = fetch(result["uri"], store.folder / "copy", result["digest"], kind="dataset")
    assert {parent.name: parent.digest for parent in manifest.parents} == {
        "model": store.digest, "dataset": read_manifest(store.dataset).digest,
    }  # fmt: skip
    with np.load(store.folder / "copy" / "eval.npz") as arrays:
        # the model answers with its input
        np.testing.assert_array_equal(arrays["y"], SCORES)
        np.testing.assert_array_equal(arrays["classes"], SCORES.argmax(axis=1))
    assert result["rows"] == 300
    assert predict(store, "predictions") == 0, "equal predictions are published once"


def test_a_split_without_labels_is_predicted(make: Make) -> None:
    store = make(x=SCORES)
    assert predict(store, "unlabeled") == 0
    fetch(f"{store.folder.as_uri()}/store/unlabeled", store.folder / "copy")
    with np.load(store.folder / "copy" / "eval.npz") as arrays:
        assert arrays.files == ["y"]


def test_what_is_missing_is_named(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    store = make(x=SCORES)
    assert predict(store, "p", "--split", "live") == 1
    assert "live" in capsys.readouterr().err
    with pytest.raises(ArtifactNotFound):
        read_manifest(f"{store.folder.as_uri()}/store/p")


def test_an_output_of_any_name_is_predicted(make: Make) -> None:
    store = make(x=SCORES)
    source, uri = store.folder / "named", f"{store.folder.as_uri()}/store/named"
    source.mkdir()
    ports = ("FP32", ["n", 3])
    (source / "model.onnx").write_bytes(
        onnx.model([onnx.node("Identity", ["x"], ["file"])], [("x", *ports)], [("file", *ports)])
    )
    signature = Signature(*((TensorSignature(name, "FP32", (-1, 3)),) for name in ("x", "file")))
    publish(source, uri, kind="onnx-model", producer="tests/0", signature=signature)
    assert predict(store, "answers", "--model", uri) == 0
    fetch(f"{store.folder.as_uri()}/store/answers", store.folder / "copy")
    with np.load(store.folder / "copy" / "eval.npz") as arrays:
        np.testing.assert_array_equal(arrays["file"], SCORES)
