"""How answers compare: by classes or values, in each form, and whatever a route has sent."""

import gzip
import json
from typing import Any

import numpy as np
import pytest
from fairlead_contracts.tensors import DTYPES
from fairlead_graph.protocols import open_inference_pb2 as pb
from fairlead_graph.protocols import seldon_prediction_pb2 as seldon_pb
from fairlead_graph.traffic.answers import Body, read_seldon, read_tensorflow, read_v2
from fairlead_graph.traffic.compare import compare_arrays, compare_now
from fairlead_graph.traffic.grpc_answers import read_grpc, read_seldon_grpc
from fairlead_graph.traffic.mirror import COMPARED_BYTES, Incomparable
from google.protobuf.struct_pb2 import ListValue

NAN = float("nan")
COMPARED: list[tuple[str, Any, Any, bool, float]] = [
    ("the same classes", [[0.1, 0.9], [0.8, 0.2]], [[0.4, 0.6], [0.9, 0.1]], True, 0.3),
    ("another class in one row", [[0.1, 0.9], [0.8, 0.2]], [[0.1, 0.9], [0.4, 0.6]], False, 0.4),
    ("one column, but for rounding", [[1.0], [2.0]], [[1.0], [2.000001]], True, 0.000001),
    ("one column", [[1.0], [2.0]], [[1.0], [2.5]], False, 0.5),
    ("one dimension", [1.0, 3.0], [2.0, 3.0], False, 1.0),
    ("integers", [[1, 5]], [[2, 5]], False, 1.0),
    ("equal integers", [[1, 5]], [[1, 5]], True, 0.0),
    ("texts", ["cat"], ["dog"], False, 0.0),
    ("equal texts", ["cat"], ["cat"], True, 0.0),
    ("booleans", [True], [False], False, 0.0),
    ("another shape", [[1.0, 2.0]], [[1.0], [2.0]], False, 0.0),
    ("another type", [1.0], [1], False, 0.0),
    ("not-a-number on one side", [[NAN, NAN]], [[0.9, 0.1]], False, 0.0),
    ("not-a-number on both", [NAN], [NAN], True, 0.0),
    ("nothing", [], [], True, 0.0),
]


@pytest.mark.parametrize(
    ("one", "other", "agreed", "distance"), [row[1:] for row in COMPARED], ids=[row[0] for row in COMPARED]
)
def test_tensors_agree_by_classes_or_values(one: Any, other: Any, agreed: bool, distance: float) -> None:
    arrays = [np.array(value, object if value and isinstance(value[0], str) else None) for value in (one, other)]
    found, measured = compare_arrays(*arrays)
    assert (found, measured) == (agreed, pytest.approx(distance))


@pytest.mark.parametrize(
    ("one", "other", "agreed"),
    [
        ({"predictions": [[0.1, 0.9]]}, {"predictions": [[0.4, 0.6]]}, True),
        ({"predictions": [[0.1, 0.9]]}, {"predictions": [[0.9, 0.1]]}, False),
        ({"predictions": [{"a": 1, "b": "x"}]}, {"predictions": [{"a": 1, "b": "x"}]}, True),
        ({"predictions": [{"a": 1, "b": "x"}]}, {"predictions": [{"a": 2, "b": "x"}]}, False),
        ({"outputs": {"a": [1.0]}}, {"outputs": {"a": [1.0]}}, True),
        ({"outputs": 6.0}, {"outputs": 7.0}, False),
        ({"outputs": 6.0}, {"error": "no"}, False),
        ({"outputs": 6.0}, [], False),
    ],
)
def test_answers_of_tensorflow_serving_compare(one: Any, other: Any, agreed: bool) -> None:
    bodies = [Body(json.dumps(value).encode()) for value in (one, other)]
    assert compare_now(read_tensorflow, *bodies)[0] is agreed


def test_short_floats_agree_by_their_classes_too() -> None:
    one, other = (np.array(row, DTYPES["BF16"]) for row in ([[0.1, 0.9]], [[0.25, 0.75]]))
    found, measured = compare_arrays(one, other)
    assert (found, measured) == (True, pytest.approx(0.15, abs=0.01))
    assert compare_arrays(one, one[:, ::-1].copy())[0] is False


def v2(*outputs: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"model_name": "m", "outputs": outputs, **more}).encode()


def output(**changes: Any) -> dict[str, Any]:
    return {"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [0.25, 0.75], **changes}


def binary(*values: float) -> Body:
    data = np.array(values, "<f4").tobytes()
    parameters = {"binary_data_size": len(data)}
    header = v2({"name": "y", "datatype": "FP32", "shape": [1, len(values)], "parameters": parameters})
    return Body(header + data, len(header))


def grpc_answer(raw: bool = True, values: tuple[float, ...] = (0.25, 0.75), **more: Any) -> Body:
    tensor: dict[str, Any] = {"name": "y", "datatype": "FP32", "shape": [1, len(values)]}
    if raw:
        more["raw_output_contents"] = [np.array(values, "<f4").tobytes()]
    else:
        tensor["contents"] = {"fp32_contents": values}
    return Body(pb.ModelInferResponse(outputs=[tensor], **more).SerializeToString())


def test_the_form_of_an_answer_makes_no_difference() -> None:
    plain = Body(v2(output(), id="1"))
    packed = Body(gzip.compress(plain.content), encoding="gzip")
    for one in (plain, packed, binary(0.25, 0.75)):
        assert compare_now(read_v2, one, Body(v2(output(), id="2"))) == (True, 0.0)
        assert compare_now(read_v2, one, binary(0.5, 0.75)) == (True, 0.25)
        assert compare_now(read_v2, one, binary(0.75, 0.25)) == (False, 0.5)
    for one in (grpc_answer(), grpc_answer(raw=False)):
        assert compare_now(read_grpc, one, grpc_answer(model_version="2", id="3")) == (True, 0.0)
        assert compare_now(read_grpc, one, grpc_answer(raw=False, values=(1.25, 0.75))) == (False, 1.0)


def seldon(data: Any = None, **more: Any) -> Body:
    return Body(json.dumps({"meta": {"puid": "x"}, **({"data": data} if data else {}), **more}).encode())


def test_messages_of_seldon_are_compared_without_their_meta() -> None:
    live = seldon({"names": ["a", "b"], "ndarray": [[0.25, 0.75]]})
    tensor = {"names": ["a", "b"], "tensor": {"shape": [1, 2], "values": [0.5, 0.75]}}
    assert compare_now(read_seldon, live, seldon(tensor, meta={"puid": "y"})) == (True, 0.25)
    assert compare_now(read_seldon, live, seldon({"names": ["a", "c"], "ndarray": [[0.25, 0.75]]})) == (False, 0.0)
    assert compare_now(read_seldon, seldon(strData="x"), seldon(strData="x")) == (True, 0.0)
    assert compare_now(read_seldon, seldon(strData="x"), seldon(strData="z")) == (False, 0.0)
    deep = Body(b'{"jsonData": ' + b"[" * 1000 + b"]" * 1000 + b"}")
    assert compare_now(read_seldon, deep, deep)[1] == 0.0  # Python may compare less deep lists than JSON holds


def seldon_grpc(**fields: Any) -> Body:
    return Body(seldon_pb.SeldonMessage(**fields).SerializeToString())


def test_messages_of_seldon_over_grpc_are_compared_in_each_form() -> None:
    rows = ListValue()
    rows.add_list().extend([0.25, 0.75])
    live = seldon_grpc(data=seldon_pb.DefaultData(names=["a"], ndarray=rows))
    tensor = seldon_pb.Tensor(shape=[1, 2], values=[0.5, 0.75])
    assert compare_now(read_seldon_grpc, live, live) == (True, 0.0)
    assert compare_now(read_seldon_grpc, live, seldon_grpc(data=seldon_pb.DefaultData(names=["a"], tensor=tensor))) == (
        True,
        0.25,
    )
    empty = seldon_grpc(data=seldon_pb.DefaultData(ndarray=ListValue()))
    for other in (seldon_grpc(strData="x"), seldon_grpc(), seldon_grpc(data=seldon_pb.DefaultData())):
        assert compare_now(read_seldon_grpc, empty, other) == (False, 0.0)
    assert compare_now(read_seldon_grpc, seldon_grpc(strData="x"), seldon_grpc(strData="x")) == (True, 0.0)
    assert compare_now(read_seldon_grpc, seldon_grpc(strData="x"), seldon_grpc(strData="y")) == (False, 0.0)
    rows[0].values[0].number_value = NAN
    lies = seldon_grpc(data=seldon_pb.DefaultData(names=["a"], ndarray=rows))
    assert compare_now(read_seldon_grpc, live, lies) == (False, 0.0)


UNREADABLE = [
    b"", b"nothing", b"[]", b"{}", b"[" * 2000, b'{"outputs": 1}', b'{"outputs": []}', b'{"outputs": [1]}',
    v2(output(), output()), v2(*[output()] * 300), v2(output(name=7)),
    v2(output(datatype="FP31")), v2(output(datatype=["FP32"])),
    v2(output(shape=[1, -2])), v2(output(shape=[2, 2])), v2(output(shape=[1 << 62] * 2)), v2(output(shape=[2] * 64)),
    v2(output(data=["a", "b"])), v2(output(data=None)), v2(output(data=[[1, 2], [3]])),
    v2(output(parameters={"binary_data_size": 8})), v2(output(parameters={"binary_data_size": "8"})),
]  # fmt: skip


@pytest.mark.parametrize("content", UNREADABLE)
def test_what_cannot_be_read_differs_or_is_not_compared(content: bytes) -> None:
    good = Body(v2(output()))
    for length in (None, 3, 1 << 40):
        assert compare_now(read_v2, good, Body(content, length)) == (False, 0.0)
    with pytest.raises(Incomparable):
        compare_now(read_v2, Body(content), good)
    assert compare_now(read_seldon, seldon({"ndarray": [1]}), Body(content)) == (False, 0.0)
    assert compare_now(read_grpc, grpc_answer(), Body(content)) == (False, 0.0)


def test_a_small_answer_that_becomes_large_is_not_compared() -> None:
    bomb = Body(gzip.compress(b" " * (4 * COMPARED_BYTES)), encoding="gzip")
    assert compare_now(read_v2, Body(v2(output())), bomb) == (False, 0.0)
    with pytest.raises(Incomparable):
        compare_now(read_v2, bomb, Body(v2(output())))
