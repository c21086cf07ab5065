"""V2 data types, tensors, requests and responses: each side reads what the other wrote."""

import json
from typing import Any

import numpy as np
import pytest
from fairlead_contracts.datatypes import BY_ONNX, BY_TORCH, DATATYPES
from fairlead_contracts.errors import ContractError
from fairlead_contracts.inference import build_response, build_tensor, parse_request
from fairlead_contracts.json_arrays import parse_array
from fairlead_contracts.tensors import DTYPES, Array, TensorSpec, cast, datatype_of

SPEC = TensorSpec("x", "FP32", ("n", 2))
TENSOR = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2]}
ARRAYS = [
    np.array([True, False]),
    *(np.array([0, 255], dtype) for dtype in ("u1", "u2", "u4", "u8")),
    *(np.array([[-128], [127]], dtype) for dtype in ("i1", "i2", "i4", "i8")),
    *(np.array([0.5, -2.0], dtype) for dtype in ("f2", "f4", "f8")),
    np.array(["a", "höher"], object),
    np.zeros((0, 3), np.float32),
]


def as_json(document: dict[str, Any]) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(json.dumps(document, default=lambda array: array.tolist()))
    return parsed


@pytest.mark.parametrize("array", ARRAYS, ids=[str(array.dtype) for array in ARRAYS])
def test_a_tensor_is_read_as_it_was_written(array: Array) -> None:
    written = as_json(build_tensor("x", array))
    request = parse_request({"id": "a", "inputs": [written]}, None, None)
    assert request.id == "a"
    assert request.tensors["x"].dtype == array.dtype
    np.testing.assert_array_equal(request.tensors["x"], array)
    assert as_json(build_response("m", {"x": array}, request).document) == {
        "model_name": "m",
        "outputs": [written],
        "id": "a",
    }


def test_every_data_type_has_one_name_in_each_library() -> None:
    assert set(DTYPES) >= set(DATATYPES) - {"BF16"}
    assert all(datatype_of(np.zeros(1, dtype)) == name for name, dtype in DTYPES.items())
    assert set(BY_ONNX.values()) == set(DATATYPES)
    assert set(BY_TORCH.values()) == set(DATATYPES) - {"BYTES"}
    assert (BY_ONNX["tensor(float)"], BY_TORCH["torch.bfloat16"]) == ("FP32", "BF16")


def test_outputs_are_selected_by_name() -> None:
    request = parse_request({"inputs": [TENSOR], "outputs": [{"name": "b"}]}, [SPEC], ["a", "b"])
    response = build_response("m", {"a": np.zeros(1), "b": np.ones(1)}, request)
    assert [output["name"] for output in response.document["outputs"]] == ["b"]
    with pytest.raises(ContractError, match="outputs: got 'b', expected one of a"):
        build_response("m", {"a": np.zeros(1)}, request)


REJECTED: list[tuple[Any, str]] = [
    ([], "body: got [], expected a JSON object with inputs"),
    ({"inputs": [TENSOR], "id": "x" * 1025}, "id: got 'xxx"),
    ({"inputs": [TENSOR], "id": 7}, "id: got 7, expected a string"),
    ({"inputs": [TENSOR], "outputs": ["a"] * 257}, "outputs: got ['a', "),
    ({"inputs": [TENSOR], "outputs": [["a"]]}, "outputs[0].name: got ['a'], expected one of y"),
    ({"inputs": [TENSOR] * 257}, "inputs: got 257 tensors, expected at most 256"),
    ({"inputs": [TENSOR, TENSOR]}, "inputs[1].name: got 'x', expected unique names"),
    ({"inputs": [TENSOR | {"name": ["x"]}]}, "inputs[0].name: got ['x'], expected one of x"),
    ({"inputs": [TENSOR | {"datatype": ["FP32"]}]}, "inputs[0].datatype: got ['FP32'], expected one of BOOL"),
    ({"inputs": [TENSOR | {"datatype": "BF16"}]}, "inputs[0].datatype: got 'BF16', expected one of BOOL"),
    ({"inputs": [TENSOR | {"datatype": "FP64"}]}, "inputs[0].datatype: got 'FP64', expected FP32"),
    ({"inputs": [TENSOR | {"shape": [1] * 33}]}, "inputs[0].shape: got 33 dimensions, expected at most 32"),
    ({"inputs": [TENSOR | {"shape": [True, 2]}]}, "inputs[0].shape: got [True, 2], expected a list of sizes"),
    ({"inputs": [TENSOR | {"shape": [10**30, 2]}]}, "inputs[0].data: got 2 values, expected 2000"),
    ({"inputs": [TENSOR | {"data": [1, True]}]}, "inputs[0].data[1]: got True, expected a number (FP32)"),
    ({"inputs": [TENSOR | {"data": [1, 1e39]}]}, "inputs[0].data[1]: got 1e+39, expected a number that FP32 can hold"),
    ({"inputs": [TENSOR | {"data": [1, 10**400]}]}, "inputs[0].data[1]: got 1000"),
    ({"inputs": [TENSOR | {"data": [[1], [2]]}]}, "inputs[0].data: got lists of shape [2, 1], expected shape [1, 2]"),
    ({"inputs": [TENSOR | {"parameters": {"binary_data_size": 8}}]}, "inputs[0].parameters: got {'binary_data_size'"),
]


@pytest.mark.parametrize(("document", "message"), REJECTED, ids=[message for _, message in REJECTED])
def test_a_request_out_of_bounds_is_rejected_by_field(document: Any, message: str) -> None:
    with pytest.raises(ContractError) as caught:
        parse_request(document, [SPEC], ["y"])
    assert str(caught.value).startswith(message)


def test_numbers_without_a_type_are_cast_unless_their_meaning_changes() -> None:
    assert cast(np.array([1, 2]), "FP32", "x").dtype == np.float32
    with pytest.raises(ContractError, match=r"x: got 1\.5, expected values that INT64 can hold"):
        cast(np.array([1.0, 1.5]), "INT64", "x")
    with pytest.raises(ContractError, match="x datatype: got text, expected FP32"):
        cast(np.array(["a"], object), "FP32", "x")


def test_a_shape_of_many_dimensions_is_rejected_before_it_is_multiplied() -> None:
    with pytest.raises(ContractError, match="200000 dimensions, expected at most 32"):
        parse_array([1.0], [10**15] * 200_000, "FP32", "data.tensor.shape")


@pytest.mark.parametrize("name", ["FP16", "FP32", "FP64"])
def test_numbers_are_widened_only_where_json_libraries_need_it(name: str) -> None:
    # numpy reads a comparison of a data type with None as one with FP64, where ml_dtypes is missing
    data = build_tensor("x", np.zeros(1, DTYPES[name]))["data"]
    assert data.dtype == DTYPES[name]
