"""Conversion of scikit-learn's estimators: equal outputs in ONNX Runtime, and files that are not what they claim."""

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import skops.io
from fairlead_artifacts import read_manifest
from fairlead_datasets.archives import check_archive
from fairlead_datasets.errors import Unusable
from fairlead_onnx_converter.sources import load_source
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

VALUES, CLASSES = load_iris(return_X_y=True)
VALUES = VALUES.astype(np.float32)
SCORES = [("label", "INT64", [-1]), ("probabilities", "FP32", [-1, 3])]
Convert = Callable[..., tuple[int, str]]
Save = Callable[[Any], Path]


@pytest.mark.parametrize(
    ("estimator", "outputs"),
    [
        (make_pipeline(StandardScaler(), LogisticRegression()), SCORES),
        (RandomForestClassifier(3, random_state=0), SCORES),
        (HistGradientBoostingClassifier(max_iter=3), SCORES),
        (LinearSVC(), [("label", "INT64", [-1])]),
        (make_pipeline(StandardScaler(), Ridge()), [("prediction", "FP32", [-1, 1])]),
    ],
    ids=["pipeline", "forest", "boosting", "without probabilities", "regressor"],
)  # fmt: skip
def test_an_estimator_is_published_with_tensors_as_outputs(
    estimator: Any, outputs: list[Any], tmp_path: Path, iris: str, save_estimator: Save, convert: Convert
) -> None:
    estimator.fit(VALUES, CLASSES)
    regressor = outputs[0][0] == "prediction"
    assert convert(save_estimator(estimator), iris, "--min-accuracy", "0" if regressor else "0.9") == (0, "")
    manifest = read_manifest((tmp_path / "store" / "onnx").as_uri())
    assert manifest.signature is not None
    assert manifest.signature.to_json() == {
        "inputs": [{"name": "input", "dtype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": name, "dtype": dtype, "shape": shape} for name, dtype, shape in outputs],
    }
    figures = manifest.parameters
    assert (figures["source"], figures["examples"], figures["different_examples"]) == ("scikit-learn", 150, 0)
    assert figures["different_bound"] == 0.0198  # 1 - 0.05 ** (1 / 150)
    assert (figures["source_accuracy"] is None) == regressor
    session = ort.InferenceSession(tmp_path / "store" / "onnx" / "model.onnx")
    answers = session.run([name for name, _, _ in outputs], {"input": VALUES[::10]})
    np.testing.assert_allclose(answers[0].ravel(), estimator.predict(VALUES[::10]), rtol=1e-5)
    assert session.get_inputs()[0].shape == ["batch", 4]


def test_columns_of_numbers_and_texts_are_inputs_of_their_own_and_equal_conversions_are_equal(
    tmp_path: Path, save_estimator: Save, convert: Convert, publish_folder: Callable[[Path, str], str]
) -> None:
    generator = np.random.default_rng(0)
    size, colour = generator.normal(size=60).astype(np.float32), generator.choice(["red", "blå", ""], 60)
    classes = np.where((size > 0) | (colour == "red"), "yes", "no")
    table = np.stack([size.astype(object), colour.astype(object)], axis=1)
    columns = ColumnTransformer([("a", StandardScaler(), [0]), ("b", OneHotEncoder(sparse_output=False), [1])])
    folder = save_estimator(make_pipeline(columns, LogisticRegression()).fit(table, classes))
    inputs = [
        {"name": name, "dtype": dtype, "shape": [-1, 1]} for name, dtype in (("size", "FP32"), ("colour", "BYTES"))
    ]
    outputs = [
        {"name": "answer", "dtype": "BYTES", "shape": [-1]},
        {"name": "confidence", "dtype": "FP32", "shape": [-1, 2]},
    ]
    (folder / "signature.json").write_text(json.dumps({"inputs": inputs, "outputs": outputs}))
    data = tmp_path / "table"
    data.mkdir()
    np.savez(data / "eval.npz", size=size, colour=colour, y=classes)
    uri = publish_folder(data, "dataset")
    for _ in range(2):
        # Other content at the same URI would be rejected.
        assert convert(folder, uri, "--min-accuracy", "0.8") == (0, "")
    manifest = read_manifest((tmp_path / "store" / "onnx").as_uri())
    assert manifest.signature is not None
    assert manifest.signature.to_json() == {"inputs": inputs, "outputs": outputs}
    assert manifest.parameters["different_classes"] == 0


def double(values: Any) -> Any:
    return values * 2


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        (make_pipeline(FunctionTransformer(double), Ridge()).fit(VALUES, CLASSES), "got the types "),
        (LogisticRegression(), "LogisticRegression is not fitted, expected a fitted classifier"),
        (KMeans(2, n_init=1).fit(VALUES), "KMeans is neither, expected a fitted classifier"),
        ({"a": 1}, "got a dict, expected a fitted classifier"),
    ],
    ids=["a function of the user's", "not fitted", "a clusterer", "no estimator"],
)
def test_other_objects_are_refused_by_what_they_are(
    estimator: Any, reason: str, iris: str, save_estimator: Save, convert: Convert
) -> None:
    code, message = convert(save_estimator(estimator), iris)
    assert code == 1
    assert f"model.skops: {reason}" in message
    if "types" in reason:
        assert f"{__name__.rpartition('.')[2]}.double" in message
        assert "publish model.onnx" in message


class _Bomb:
    def __init__(self, trace: Path) -> None:
        self.trace = str(trace)

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (self.trace,))


def test_a_pickle_by_another_name_is_never_run(tmp_path: Path, iris: str, convert: Convert) -> None:
    folder, trace = tmp_path / "model", tmp_path / "ran"
    folder.mkdir()
    (folder / "model.skops").write_bytes(pickle.dumps(_Bomb(trace)))
    code, message = convert(folder, iris)
    assert code == 1
    assert "model.skops: is not an intact zip archive" in message
    # nor is one inside of the archive
    content = io.BytesIO()
    np.save(content, np.array([_Bomb(trace)], object), allow_pickle=True)
    _rewrite(folder, lambda name, data: content.getvalue() if name.endswith(".npy") else data)
    with pytest.raises(Unusable, match="got an array of Python objects"):
        load_source(folder)
    assert not trace.exists()


def _rewrite(folder: Path, change: Callable[[str, bytes], bytes]) -> None:
    """Write the model of a logistic regression with changed members."""
    content = skops.io.dumps(LogisticRegression().fit(VALUES, CLASSES))
    with (
        zipfile.ZipFile(io.BytesIO(content)) as source,
        zipfile.ZipFile(folder / "model.skops", "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, change(name, source.read(name)))


def _claim(_: str, data: bytes) -> bytes:
    """Claim another shape in an array's header, of the same length."""
    if not data.startswith(b"\x93NUMPY"):
        return data
    return data.replace(b"(3,)", b"(3000000000000,)").replace(b", }" + b" " * 12, b", }") if b"(3,)" in data else data


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda name, data: data.replace(b'"LogisticRegression"', b'"system"').replace(
            b'"sklearn.linear_model._logistic"', b'"posix"'), "got the types posix.system"),
        (lambda name, data: data.replace(b'"ObjectNode"', b'"NoNode"'), "cannot load it"),
        (lambda name, data: data[: len(data) // 2] if name == "schema.json" else data, "cannot load it"),
        (lambda name, data: b"[" * 200_000 if name == "schema.json" else data, "cannot load it"),
        (lambda name, data: data[:-4] if name.endswith(".npy") else data, "bytes for shape"),
        (_claim, "claims 24000000000000 bytes for shape [3000000000000]"),
        (lambda name, data: data + bytes(2 << 20), "expected at most 50 times as many; save it without compression"),
    ],
    ids=["a function", "an unknown node", "cut", "deeply nested", "a short array", "a giant array", "a zip bomb"],
)  # fmt: skip
def test_a_hostile_file_is_refused_by_name(
    change: Callable[[str, bytes], bytes], reason: str, tmp_path: Path, iris: str, convert: Convert,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("fairlead_datasets.archives._FREE_BYTES", 1 << 20)
    folder = tmp_path / "model"
    folder.mkdir()
    _rewrite(folder, change)
    code, message = convert(folder, iris)
    assert code == 1
    assert "model.skops" in message
    assert reason in message


def _zip(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


def test_archives_inside_of_an_archive_share_its_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead_datasets.archives._FREE_BYTES", 1 << 20)
    array, file = io.BytesIO(), tmp_path / "model.skops"
    np.save(array, np.zeros(100_000, np.float32))
    inner = _zip({"data.npy": array.getvalue()})
    file.write_bytes(_zip({"0.npz": inner, "1.npz": inner}))
    check_archive(file)
    for ending in ("npz", "bin"):  # whoever reads a member does not look at its name
        file.write_bytes(_zip({f"{index}.{ending}": inner for index in range(20)}))
        with pytest.raises(Unusable, match="expected at most 50 times as many"):
            check_archive(file)
    file.write_bytes(_zip({"0.npz": _zip({"1.npz": inner})}))
    with pytest.raises(Unusable, match=r"model.skops/0.npz/1.npz: got an archive inside an archive of arrays"):
        check_archive(file)


def _break_tree() -> Any:
    model = DecisionTreeClassifier(max_depth=2).fit(VALUES, CLASSES)
    model.tree_.children_left[0] = 1_000_000
    return model


def _break_feature() -> Any:
    model = RandomForestClassifier(2).fit(VALUES, CLASSES)
    model.estimators_[1].tree_.feature[0] = 70_000
    return model


def _break_predictor() -> Any:
    model = HistGradientBoostingClassifier(max_iter=2).fit(VALUES, CLASSES)
    model._predictors[1][0].nodes["right"][0] = 1_000_000
    return model


def _loop() -> Any:
    model = HistGradientBoostingClassifier(max_iter=2).fit(VALUES, CLASSES)
    model._predictors[0][0].nodes["right"][0] = 0
    return model


@pytest.mark.parametrize("make", [_break_tree, _break_feature, _break_predictor, _loop])
def test_a_tree_whose_indices_lead_outside_of_it_is_refused_before_it_runs(
    make: Callable[[], Any], iris: str, save_estimator: Save, convert: Convert
) -> None:
    code, message = convert(save_estimator(make()), iris)
    assert code == 1
    assert "model.skops: got a Tree" in message
    assert "with an index out of bounds" in message


def test_columns_with_names_need_a_signature_that_says_their_types(
    iris: str, save_estimator: Save, convert: Convert
) -> None:
    import pandas as pd

    table = pd.DataFrame(VALUES, columns=list("abcd"))
    code, message = convert(save_estimator(LogisticRegression().fit(table, CLASSES)), iris)
    assert code == 1
    assert "model: got no signature.json, expected one: LogisticRegression was fitted on columns with names" in message
    assert '{"inputs": [{"name": "a", "dtype": "FP32", "shape": [-1, 1]}' in message
