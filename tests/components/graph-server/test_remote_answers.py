"""What remote servers answer over gRPC, decoded without a server: a wrong message ends in an error with its field."""

from typing import Any

import numpy as np
import pytest
from fairlead_contracts.errors import ContractError
from fairlead_contracts.tensors import TensorSpec
from fairlead_graph import seldon_proto
from fairlead_graph.nodes import open_inference_grpc
from fairlead_graph.protocols import open_inference_pb2 as v2
from fairlead_graph.protocols import seldon_prediction_pb2 as seldon
from fairlead_graph.seldon_message import build_data, parse_message

SPECS = (TensorSpec("y", "FP32", (None, 2)),)
OUTPUT = {"name": "y", "datatype": "FP32", "shape": [1, 2]}
WIRE = open_inference_grpc.build_wire("m")
LIES: list[tuple[dict[str, Any], str]] = [
    ({}, "outputs: got none, expected at least one tensor"),
    ({"outputs": [OUTPUT]}, "outputs[0].contents: got 0 values, expected 2, for shape [1, 2]"),
    ({"outputs": [OUTPUT], "raw_output_contents": [b"", b""]}, "raw_output_contents: got 2 of them, expected 1"),
    ({"outputs": [OUTPUT], "raw_output_contents": [bytes(7)]}, "raw_output_contents[0]: got 7 bytes, expected 8"),
    ({"outputs": [{**OUTPUT, "shape": [-1, 2]}]}, "outputs[0].shape: got [-1, 2], expected a list of sizes"),
    ({"outputs": [{**OUTPUT, "shape": [2]}]}, "outputs[0].shape: got [2], expected [-1, 2]"),
    ({"outputs": [{**OUTPUT, "datatype": "FP64"}]}, "outputs[0].datatype: got 'FP64', expected FP32"),
    ({"outputs": [{**OUTPUT, "name": "z"}]}, "outputs[0].name: got 'z', expected one of y"),
    ({"outputs": [OUTPUT, OUTPUT], "raw_output_contents": [bytes(8)] * 2}, "outputs[1].name: got 'y', expected unique"),
]


@pytest.mark.parametrize(("fields", "reason"), LIES, ids=[reason[:40] for _, reason in LIES])
def test_a_wrong_answer_of_a_v2_server_is_named(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ContractError) as caught:
        WIRE.decode(v2.ModelInferResponse(**fields).SerializeToString(), SPECS)
    assert reason in str(caught.value)


def test_bytes_that_are_no_message_are_named() -> None:
    with pytest.raises(ContractError, match="expected a ModelInferResponse"):
        WIRE.decode(b"\xff\xff", SPECS)
    with pytest.raises(ContractError, match="expected a ModelMetadataResponse"):
        WIRE.read_metadata(b"\xff\xff")
    with pytest.raises(ContractError, match="expected a SeldonMessage"):
        seldon_proto.decode(b"\xff\xff")


MESSAGES: list[tuple[dict[str, Any], str]] = [
    ({}, "data: got {'names': []}, expected data.ndarray or data.tensor"),
    ({"strData": "x"}, "data: got ['meta', 'strData'], expected data.ndarray or data.tensor"),
    ({"data": {"tensor": {"shape": [2, 2], "values": [1]}}}, "data.tensor.values: got 1 values, expected 4"),
    ({"data": {"tensor": {"shape": [-1], "values": [1]}}}, "data.tensor.shape: got [-1], expected a list of sizes"),
    ({"data": {"tensor": {"shape": [1], "values": [np.nan]}}}, "data.tensor.values[0]: got nan"),
    ({"meta": {"tags": {"a": {"number_value": np.inf}}}}, "meta: got a value, expected one that JSON can hold"),
]


@pytest.mark.parametrize(("fields", "reason"), MESSAGES, ids=[reason[:40] for _, reason in MESSAGES])
def test_a_wrong_answer_of_a_microservice_is_named(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ContractError) as caught:
        parse_message(seldon_proto.decode(seldon.SeldonMessage(**fields).SerializeToString()))
    assert reason in str(caught.value)


ARRAYS = [
    np.array([[1.5, -2.0]]),
    np.array([[1, 2], [3, 4]], np.int64),
    np.array([["a", "é"]], object),
    np.array([[True, False]]),
    np.zeros((0, 3), np.float32),
]


@pytest.mark.parametrize("array", ARRAYS, ids=[str(array.dtype) for array in ARRAYS])
def test_a_message_is_read_as_it_was_written(array: Any) -> None:
    form = "ndarray" if array.dtype in (object, bool) else "tensor"
    meta = {"puid": "p", "tags": {"n": None, "deep": [1, {"x": "y"}]}}
    body = seldon_proto.encode("predict", {"data": build_data(array, ("a", "b"), form), "meta": meta})
    message, _ = parse_message(seldon_proto.decode(body))
    assert (message.tensors["data"].tolist(), message.columns) == (array.tolist(), ("a", "b"))
    assert (message.tensors["data"].shape, message.tags) == (array.shape, meta["tags"])


def test_an_integer_that_a_double_cannot_hold_is_not_sent() -> None:
    document = {"data": build_data(np.array([2**53 + 1], np.int64), (), "tensor"), "meta": {}}
    with pytest.raises(ContractError, match="the tensor of Seldon's message: got 9007199254740993"):
        seldon_proto.encode("predict", document)
