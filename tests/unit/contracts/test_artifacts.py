"""Contracts of artifacts: signatures, validation results, parity tables, bundles, model URIs."""

import dataclasses
import json
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from fairlead_contracts.edge_bundle import BundleDescription, Preprocessing, SelfTest
from fairlead_contracts.errors import ContractError
from fairlead_contracts.model_uri import ModelPlace, list_places
from fairlead_contracts.parity import BundleParity, BundleTable, ConversionParity, ConversionTable
from fairlead_contracts.signature import Signature, TensorSignature
from fairlead_contracts.validation import ValidationResult
from pydantic import ValidationError

SIGNATURE = Signature(
    inputs=(TensorSignature(name="image", dtype="FP32", shape=(-1, 1, 8, 8)),),
    outputs=(TensorSignature(name="logits", dtype="FP32", shape=(-1, 10)),),
)
CONVERSION = ConversionParity(
    examples=300, max_abs_difference=1e-6, max_rel_difference=1e-3, outside_tolerance=0, values=3000,
    different_classes=None, different_examples=0, different_bound=0.00994, source_accuracy=None, onnx_accuracy=0.99,
)  # fmt: skip
BUNDLE = BundleParity(
    examples=300, max_abs_difference=0.1, agreement=1.0, accuracy_before=1.0, accuracy_after=0.99, bytes_before=400,
    bytes_after=100,
)  # fmt: skip
VALUES: list[tuple[Any, dict[str, Any]]] = [
    (SIGNATURE, {"inputs": [{"name": "image", "dtype": "FP32", "shape": [-1, 1, 8, 8]}],
                 "outputs": [{"name": "logits", "dtype": "FP32", "shape": [-1, 10]}]}),
    (ValidationResult(success=False, suite="digits", failed=("column x: no",)),
     {"success": False, "suite": "digits", "suiteDigest": None, "failed": ["column x: no"]}),
    (ConversionTable(**dict(CONVERSION), split="eval", scale=1.0, offset=0.0, atol=1e-4, rtol=1e-3, min_accuracy=0.95,
                     min_examples=30, max_different=0, source="scikit-learn"),
     {"examples": 300, "max_abs_difference": 1e-6, "max_rel_difference": 1e-3, "outside_tolerance": 0, "values": 3000,
      "different_classes": None, "different_examples": 0, "different_bound": 0.00994, "source_accuracy": None,
      "onnx_accuracy": 0.99, "split": "eval", "scale": 1.0, "offset": 0.0, "atol": 1e-4, "rtol": 1e-3,
      "min_accuracy": 0.95, "min_examples": 30, "max_different": 0, "source": "scikit-learn"}),
    (BundleTable(**dict(BUNDLE), split="test", max_drop=0.01),
     {"examples": 300, "max_abs_difference": 0.1, "agreement": 1.0, "accuracy_before": 1.0, "accuracy_after": 0.99,
      "bytes_before": 400, "bytes_after": 100, "split": "test", "max_drop": 0.01}),
    (BundleDescription(name="digits", preprocessing=Preprocessing(scale=0.0625), labels=("a", "b"),
                       target="onnx-int8", files={"model.onnx": "ab" * 32}, version=7, architectures=("x86_64",),
                       self_test=SelfTest("cd" * 32, (0.5, 0.0))),
     {"schema": "fairlead.dev/edge-bundle/v3", "name": "digits", "preprocessing": {"scale": 0.0625, "offset": 0.0},
      "labels": ["a", "b"], "target": "onnx-int8", "files": {"model.onnx": "ab" * 32}, "version": 7,
      "architectures": ["x86_64"], "self_test": {"sha256": "cd" * 32, "tolerances": [0.5, 0.0]}}),
]  # fmt: skip


@pytest.mark.parametrize(("value", "written"), VALUES, ids=[type(value).__name__ for value, _ in VALUES])
def test_written_values_are_read_back(value: Any, written: dict[str, Any]) -> None:
    assert value.to_json() == written
    assert type(value).parse_json(json.dumps(written).encode(), "document") == value


def test_bundles_of_earlier_schemas_are_read() -> None:
    release = ("version", "architectures", "self_test")
    second = {key: value for key, value in VALUES[4][1].items() if key not in release}
    second |= {"schema": "fairlead.dev/edge-bundle/v2"}
    first = {key: value for key, value in second.items() if key not in ("target", "files")}
    first |= {"schema": "fairlead.dev/edge-bundle/v1", "sha256": "ab" * 32}
    expected = dataclasses.replace(VALUES[4][0], version=0, architectures=(), self_test=None)
    for written in (first, second):
        assert BundleDescription.parse_json(json.dumps(written).encode(), "bundle.json") == expected


def test_a_parity_table_of_an_older_converter_is_read() -> None:
    written = {
        "examples": 300, "max_abs_difference": 1e-6, "max_rel_difference": 1e-3, "outside_tolerance": 0, "values": 3000,
        "torch_accuracy": 0.98, "onnx_accuracy": 0.99, "split": "eval", "scale": 1.0, "offset": 0.0, "atol": 1e-4,
        "rtol": 1e-3, "min_accuracy": 0.95,
    }  # fmt: skip
    table = ConversionTable.parse(written, "parameters")
    assert (table.source_accuracy, table.different_examples, table.source) == (0.98, None, None)


def test_parameters_of_a_manifest_are_read_as_parsed_json() -> None:
    for value, written in VALUES[:4]:
        assert type(value).parse(written, "parameters") == value


REJECTED: list[tuple[type[Any], Any, str]] = [
    (Signature, {"inputs": []}, "part.outputs: got nothing, expected a list"),
    (Signature, {"inputs": [], "outputs": [{}] * 257}, "part.outputs"),
    (Signature, {"inputs": [{"name": "", "dtype": "FP32", "shape": []}], "outputs": []}, "part.inputs[0].name: got ''"),
    (Signature, {"inputs": [{"name": "x", "dtype": "F32", "shape": []}], "outputs": []}, "part.inputs[0].dtype: got"),
    (
        Signature,
        {"inputs": [{"name": "x", "dtype": "FP32", "shape": [-2]}], "outputs": []},
        "part.inputs[0].shape: got [-2]",
    ),
    (Signature, {"inputs": [{"name": "x", "dtype": "FP32", "shape": [1] * 33}], "outputs": []}, "part.inputs[0].shape"),
    (ValidationResult, {"success": "true"}, "part.success: got 'true', expected true or false"),
    (ValidationResult, {"success": False, "failed": "all"}, "part.failed: got 'all', expected a list"),
    (ValidationResult, {"success": False, "failed": [1]}, "part.failed[0]: got 1, expected a string"),
    (ValidationResult, {"success": False, "failed": ["x" * 1001]}, "part.failed[0]: got 'xx"),
    (ValidationResult, {"success": True, "schema": "fairlead.dev/validation/v2"}, "part.schema: got 'fairlead.dev/val"),
    (BundleTable, VALUES[3][1] | {"agreement": float("nan")}, "part.agreement: got nan, expected a finite number"),
    (BundleTable, VALUES[3][1] | {"split": "x" * 254}, "part.split: got 'xx"),
    (ConversionTable, VALUES[2][1] | {"values": "many"}, "part.values: got 'many', expected an integer"),
    (BundleDescription, VALUES[4][1] | {"schema": "fairlead.dev/edge-bundle/v4"}, "schema: got 'fairlead"),
    (BundleDescription, {"name": "m"}, "schema: got nothing, expected 'fairlead.dev"),
    (BundleDescription, VALUES[4][1] | {"files": {"model.onnx": "AB" * 32}}, "files.model.onnx: got 'ABAB"),
    (BundleDescription, VALUES[4][1] | {"files": {"model.onnx": 7}}, "files.model.onnx: got 7"),
    (BundleDescription, VALUES[4][1] | {"files": {"../model.onnx": "ab" * 32}}, "files: got '../model"),
    (BundleDescription, VALUES[4][1] | {"files": {"bundle.json": "ab" * 32}}, "files: got 'bundle.json'"),
    (BundleDescription, VALUES[4][1] | {"files": {}}, "files: got [], expected 1 to 16 files"),
    (BundleDescription, VALUES[4][1] | {"target": "ONNX"}, "target: got 'ONNX'"),
    (BundleDescription, VALUES[4][1] | {"labels": [7]}, "labels"),
    (BundleDescription, VALUES[4][1] | {"version": -1}, "version: got -1"),
    (BundleDescription, VALUES[4][1] | {"version": True}, "version: got True"),
    (BundleDescription, VALUES[4][1] | {"architectures": ["x86-64"]}, "architectures: got ['x86-64']"),
    (BundleDescription, VALUES[4][1] | {"architectures": [{}]}, "architectures: got [{}]"),
    (BundleDescription, VALUES[4][1] | {"self_test": "none"}, "self_test: got 'none'"),
    (BundleDescription, VALUES[4][1] | {"self_test": {"sha256": "AB"}}, "self_test.tolerances: got nothing"),
    (BundleDescription, VALUES[4][1] | {"self_test": {"sha256": "AB", "tolerances": [1]}}, "self_test.sha256: got 'AB"),
    (BundleDescription, VALUES[4][1] | {"self_test": {"sha256": "ab" * 32, "tolerances": [-1]}}, "self_test.tolerance"),
    (
        BundleDescription,
        VALUES[4][1] | {"self_test": {"sha256": "ab" * 32, "tolerances": [10**400]}},
        "self_test.tolerances: got",
    ),
]


@pytest.mark.parametrize(("kind", "document", "message"), REJECTED, ids=[message for *_, message in REJECTED])
def test_a_value_out_of_bounds_is_rejected_by_field(kind: type[Any], document: Any, message: str) -> None:
    with pytest.raises(ContractError) as caught:
        if kind is BundleDescription:
            kind.parse_json(json.dumps(document).encode(), "bundle.json")
        else:
            kind.parse(document, "part")
    assert str(caught.value).startswith(message)


def test_a_document_that_is_too_long_or_too_deep_is_rejected() -> None:
    with pytest.raises(ContractError, match="at most 1048576"):
        Signature.parse_json(b" " * (1 << 20) + b"{}", "signature.json")
    with pytest.raises(ContractError, match=r"bundle\.json: got invalid JSON"):
        BundleDescription.parse_json(b"[" * 5000, "bundle.json")


def test_a_result_of_many_long_lines_is_cut_to_the_bounds() -> None:
    result = ValidationResult.build(False, "s" * 2000, ["x" * 2000] * 2000)
    assert ValidationResult.parse(result.to_json(), "parameters") == result


def test_a_value_that_is_not_finite_is_measured_but_not_published() -> None:
    measured = BUNDLE.model_copy(update={"max_abs_difference": float("nan")})
    assert BundleParity.model_validate(dict(measured)).max_abs_difference != 0
    with pytest.raises(ValidationError):
        BundleTable(**dict(measured), split="test", max_drop=0.01)


def test_a_value_is_frozen() -> None:
    for value, _ in VALUES:
        name = next(iter(vars(value)))
        with pytest.raises((ValidationError, FrozenInstanceError)):
            setattr(value, name, None)


@pytest.mark.parametrize(
    ("uri", "places"),
    [
        ("s3://m/digits/v1", [ModelPlace("s3://m/digits/v1", "model.onnx")]),
        ("s3://m/digits/v1/", [ModelPlace("s3://m/digits/v1", "model.onnx")]),
        (
            "file:///m/v1/small.onnx",
            [ModelPlace("file:///m/v1", "small.onnx"), ModelPlace("file:///m", "v1/small.onnx")],
        ),
    ],
)
def test_a_model_uri_names_an_artifact_or_a_file_of_one(uri: str, places: list[ModelPlace]) -> None:
    assert list(list_places(uri)) == places
