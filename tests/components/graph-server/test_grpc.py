"""The Open Inference Protocol over gRPC on a real server: correct answers, and errors that name the field."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import grpc
import numpy as np
import pytest
from fairlead_graph.grpc_api import _guarded, _read_puid
from fairlead_graph.protocols import open_inference_pb2 as pb
from onnx import TensorProto, helper

from tests.support import onnx_models as onnx
from tests.support.loops import in_a_loop
from tests.support.ports import free_port

VALUES = np.array([[1.0, 2.0, 4.0], [3.0, 0.5, 0.0]], np.float32)


class Client:
    """Calls a method by its name."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_send_message_length", -1)])

    def __getattr__(self, name: str) -> Callable[..., Any]:
        service = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
        method = service.methods_by_name[name]
        request, response = (getattr(pb, kind.name) for kind in (method.input_type, method.output_type))
        call = self.channel.unary_unary(
            f"/{service.full_name}/{name}",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        return lambda timeout=20, **fields: call(request(**fields), timeout=timeout)


@pytest.fixture(scope="module")
def serve(start: Callable[..., Any], publish_model: Callable[..., str]) -> Callable[..., Client]:
    """Return a function that serves a model and returns a client, with the server's HTTP side as `.http`."""

    def run(name: str, model: bytes, **environment: str) -> Client:
        graph = {"name": name, "type": "MODEL", "modelUri": publish_model(name, model)}
        port = free_port()
        server = start(graph, FAIRLEAD_GRPC_PORT=str(port), **environment).wait_ready()
        client = Client(port)
        client.http = server
        return client

    return run


@pytest.fixture(scope="module")
def client(serve: Callable[..., Client]) -> Client:
    """Return a client of a model, times 2."""
    return serve("twice", onnx.scale(2.0, ["n", 3]))


def tensor(**changes: Any) -> dict[str, Any]:
    contents = {"fp32_contents": VALUES.ravel()}
    return {"name": "x", "datatype": "FP32", "shape": [2, 3], "contents": contents, **changes}


def raw(**changes: Any) -> dict[str, Any]:
    return {"name": "x", "datatype": "FP32", "shape": [2, 3], **changes}


def test_raw_inputs_are_answered_raw_and_others_with_contents(client: Client) -> None:
    answer = client.ModelInfer(model_name="digits", id="a", inputs=[raw()], raw_input_contents=[VALUES.tobytes()])
    assert (answer.model_name, answer.id) == ("digits", "a")
    (output,) = answer.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("scaled", "FP32", [2, 3])
    np.testing.assert_array_equal(np.frombuffer(answer.raw_output_contents[0], "<f4").reshape(2, 3), VALUES * 2)
    empty = client.ModelInfer(model_name="digits", inputs=[raw(contents={})], raw_input_contents=[VALUES.tobytes()])
    assert empty.raw_output_contents == answer.raw_output_contents
    answer = client.ModelInfer(model_name="digits", inputs=[tensor()])
    assert not answer.raw_output_contents
    assert list(answer.outputs[0].contents.fp32_contents) == (VALUES * 2).ravel().tolist()


def test_values_that_json_cannot_hold_pass(client: Client) -> None:
    contents = {"fp32_contents": [np.nan, np.inf, 1]}
    answer = client.ModelInfer(model_name="digits", inputs=[tensor(shape=[1, 3], contents=contents)])
    np.testing.assert_array_equal(answer.outputs[0].contents.fp32_contents, [np.nan, np.inf, 2])


def test_health_and_metadata(client: Client) -> None:
    assert client.ServerLive().live
    assert client.ServerReady().ready
    assert client.ModelReady(name="digits").ready
    assert client.ServerMetadata().name == "fairlead-graph-server"
    facts = client.ModelMetadata(name="digits")
    assert [(item.name, item.datatype, list(item.shape)) for item in facts.inputs] == [("x", "FP32", [-1, 3])]
    (version,) = facts.versions
    assert client.ModelMetadata(name="digits", version=version) == facts
    (model,) = client.RepositoryIndex().models
    assert (model.name, model.version, model.state) == ("digits", version, "READY")


INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
REJECTED = [
    ({"model_name": "other", "inputs": [tensor()]}, NOT_FOUND, "model_name: got 'other', expected 'digits'"),
    ({"model_version": "7", "inputs": [tensor()]}, NOT_FOUND, "model_version: got '7', expected '"),
    ({}, INVALID, "inputs: got none, expected at least one tensor"),
    ({"inputs": [tensor()] * 257}, INVALID, "inputs: got 257 tensors, expected at most 256"),
    ({"inputs": [tensor(), tensor()]}, INVALID, "inputs[1].name: got 'x', expected unique names"),
    ({"inputs": [tensor(name="y")]}, INVALID, "inputs[0].name: got 'y', expected one of x"),
    ({"inputs": [tensor(datatype="FP64")]}, INVALID, "inputs[0].datatype: got 'FP64', expected FP32"),
    ({"inputs": [tensor(shape=[-2, 3])]}, INVALID, "inputs[0].shape: got [-2, 3], expected a list of sizes"),
    ({"inputs": [tensor(shape=[3, 3])]}, INVALID, "inputs[0].contents: got 6 values, expected 9"),
    (
        {"inputs": [tensor(contents={"fp64_contents": [1]})]},
        INVALID,
        "inputs[0].contents: got 'fp64_contents', expected",
    ),
    (
        {"inputs": [tensor()], "raw_input_contents": [b""]},
        INVALID,
        "inputs[0].contents: got values, expected none next",
    ),
    ({"inputs": [raw()], "raw_input_contents": [b"x"]}, INVALID, "raw_input_contents[0]: got 1 bytes, expected 24"),
    ({"inputs": [raw()], "raw_input_contents": [b""] * 2}, INVALID, "raw_input_contents: got 2 of them, expected 1"),
    ({"inputs": [tensor()], "outputs": [{"name": "z"}]}, INVALID, "outputs: got 'z', expected one of scaled"),
    ({"inputs": [tensor()], "outputs": [{"name": "scaled"}] * 9}, INVALID, "outputs[1].name: got 'scaled', expected"),
    ({"inputs": [tensor()], "id": "x" * 2000}, INVALID, "id: got 'xxx"),
]


@pytest.mark.parametrize(("fields", "code", "reason"), REJECTED, ids=[reason[:50] for *_, reason in REJECTED])
def test_an_invalid_call_is_rejected_by_field(client: Client, fields: Any, code: Any, reason: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        client.ModelInfer(**{"model_name": "digits", **fields})
    assert caught.value.code() is code
    assert caught.value.details().startswith(reason)


def test_bytes_that_are_no_message_are_rejected(client: Client) -> None:
    for method, name in (("ModelInfer", "ModelInferRequest"), ("ModelReady", "ModelReadyRequest")):
        call = client.channel.unary_unary(f"/inference.GRPCInferenceService/{method}")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\xff\xff", timeout=20)
        assert caught.value.code() is INVALID
        assert name in caught.value.details()


def test_an_unknown_model_has_no_metadata(client: Client) -> None:
    for method, fields in (("ModelMetadata", {"name": "x"}), ("ModelReady", {"name": "x"})):
        with pytest.raises(grpc.RpcError) as caught:
            getattr(client, method)(**fields)
        assert caught.value.code() is NOT_FOUND


def test_texts_and_integers_pass_in_both_forms(serve: Callable[..., Client]) -> None:
    client = serve("echo", onnx.identity("BYTES", ["n"]))
    texts = ["é", "", "x" * 300]
    contents = {"bytes_contents": [text.encode() for text in texts]}
    request = {"name": "x", "datatype": "BYTES", "shape": [3]}
    answer = client.ModelInfer(model_name="digits", inputs=[{**request, "contents": contents}])
    assert [value.decode() for value in answer.outputs[0].contents.bytes_contents] == texts
    with pytest.raises(grpc.RpcError) as caught:
        client.ModelInfer(model_name="digits", inputs=[{**request, "contents": {"bytes_contents": [b"\xff"] * 3}}])
    assert caught.value.details() == "inputs[0].contents[0]: got bytes, expected UTF-8"


@pytest.mark.parametrize(("datatype", "dtype"), [("FP16", "float16"), ("BF16", "bfloat16")])
def test_half_precision_passes_as_raw_bytes_only(serve: Callable[..., Client], datatype: str, dtype: str) -> None:
    import ml_dtypes  # noqa: F401 - tells numpy of bfloat16

    client, values = serve(f"half-{dtype}", onnx.identity(datatype, ["n"])), np.array([0.1, -np.inf, 3]).astype(dtype)
    request = {"name": "x", "datatype": datatype, "shape": [3]}
    answer = client.ModelInfer(model_name="digits", inputs=[request], raw_input_contents=[values.tobytes()])
    assert (answer.outputs[0].datatype, answer.raw_output_contents[0]) == (datatype, values.tobytes())
    with pytest.raises(grpc.RpcError) as caught:
        client.ModelInfer(model_name="digits", inputs=[{**request, "contents": {"fp32_contents": [1, 2, 3]}}])
    reason = f"inputs[0].contents: got values, expected raw_input_contents: {datatype} has no other form"
    assert caught.value.details() == reason
    with pytest.raises(grpc.RpcError) as caught:
        client.ModelInfer(model_name="digits", inputs=[request], raw_input_contents=[bytes(12)])
    assert caught.value.details() == f"raw_input_contents[0]: got 12 bytes, expected 6, for {datatype} of shape [3]"


def test_classes_are_a_parameter_of_their_output(serve: Callable[..., Client]) -> None:
    maps = helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    )
    node = helper.make_node("ZipMap", ["x"], ["p"], domain="ai.onnx.ml", classlabels_int64s=[3, 5])
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])], [helper.make_value_info("p", maps)]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    model = helper.make_model(helper.make_graph([node], "g", *ports), opset_imports=opsets, ir_version=8)
    client = serve("classes", model.SerializeToString())
    answer = client.ModelInfer(model_name="digits", inputs=[tensor(shape=[3, 2])])
    assert answer.outputs[0].parameters["labels"].string_param == "[3, 5]"
    assert list(client.ModelMetadata(name="digits").outputs[0].shape) == [-1, 2]


def test_an_answer_over_the_limit_is_said_by_its_size_as_it_is_sent(serve: Callable[..., Client]) -> None:
    client = serve("small", onnx.identity("INT8", ["n"]), FAIRLEAD_MAX_RESPONSE_BYTES="1024")

    def ask(count: int) -> Any:
        contents = {"int_contents": [-1] * count}  # of ten bytes each, for one in the model
        return client.ModelInfer(
            model_name="digits", inputs=[{"name": "x", "datatype": "INT8", "shape": [count], "contents": contents}]
        )

    assert len(ask(90).outputs[0].contents.int_contents) == 90
    for count, reason in ((200, "the response has 20"), (500, "outputs: got 500 values, expected at most 256")):
        with pytest.raises(grpc.RpcError) as caught:
            ask(count)
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert caught.value.details().startswith(reason)


def test_a_message_over_the_limit_ends_only_its_call(client: Client) -> None:
    rows = np.zeros((1 << 20, 3), np.float32)
    with pytest.raises(grpc.RpcError) as caught:
        client.ModelInfer(
            model_name="digits", inputs=[raw(shape=list(rows.shape))], raw_input_contents=[rows.tobytes()]
        )
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert client.ServerLive().live


def test_calls_are_counted_with_those_of_other_protocols(client: Client) -> None:
    def count() -> float:
        lines = client.http.get("/metrics").body.decode().splitlines()
        prefix = "seldon_api_executor_server_requests_seconds_count"
        return sum(float(line.split()[-1]) for line in lines if line.startswith(prefix) and 'code="200"' in line)

    before = count()
    client.ModelInfer(model_name="digits", inputs=[tensor()])
    assert count() == before + 1


def test_connections_without_calls_are_bounded_in_number_and_time(serve: Callable[..., Client]) -> None:
    limits = {"FAIRLEAD_MAX_CONNECTIONS": "20", "FAIRLEAD_HEADER_TIMEOUT_SECONDS": "1"}
    client = serve("bounded", onnx.scale(2.0, ["n", 3]), **limits)
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection(("127.0.0.1", client.port), 20)) for _ in range(60)]
        for connection in idle:
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(1 << 16):  # what the server says first
                    pass
    assert client.ServerLive().live


def test_a_call_without_a_message_loses_its_place(serve: Callable[..., Client]) -> None:
    limits = {"FAIRLEAD_BODY_TIMEOUT_SECONDS": "1", "FAIRLEAD_MAX_GRPC_CALLS": "2"}
    client, over = serve("waiting", onnx.scale(2.0, ["n", 3]), **limits), threading.Event()

    def nothing() -> Iterator[bytes]:
        over.wait(60)
        yield from ()

    with contextlib.ExitStack() as stack:
        stack.callback(over.set)
        calls = []
        for number in range(2):
            options = [("grpc.use_local_subchannel_pool", 1), ("number", number)]
            channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{client.port}", options=options))
            method = channel.stream_unary("/inference.GRPCInferenceService/ModelInfer")
            calls.append(method.future(nothing(), timeout=50))
        for call in calls:
            assert call.exception(40).details() == "message: got none within 1 s"
        with pytest.raises(grpc.RpcError) as caught:
            method(iter(()), timeout=20)
        assert (caught.value.code(), caught.value.details()) == (INVALID, "message: got none, expected one")
        assert client.ServerLive().live


def test_a_stopping_server_finishes_calls_and_exits(serve: Callable[..., Client]) -> None:
    client = serve("stopped", onnx.scale(2.0, ["n", 3]))
    assert client.ServerReady().ready
    assert client.http.stop() == 0
    with pytest.raises(grpc.RpcError) as caught:
        client.ServerLive(timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


class Call:
    """A call as gRPC shows it to a method."""

    async def read(self) -> bytes:
        return b"message"

    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        self.ended = code, details
        raise grpc.aio.AbortError(details)


@in_a_loop
async def test_an_error_in_the_program_is_not_told_to_the_client(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(body: bytes, context: Any) -> bytes:
        raise KeyError("secret")

    call = Call()
    with pytest.raises(grpc.aio.AbortError):
        await _guarded(broken, 1.0)(None, call)
    assert call.ended == (grpc.StatusCode.INTERNAL, "internal error; see the server's log")
    assert "secret" in caplog.text


@pytest.mark.parametrize(("sent", "puid"), [("a b", "a b"), ("é", ""), ("a\n", ""), ("x" * 200, "x" * 128)])
def test_an_id_that_no_other_server_would_get_is_none(sent: str, puid: str) -> None:
    context = SimpleNamespace(invocation_metadata=lambda: [("other", "1"), ("seldon-puid", sent)])
    assert _read_puid(context) == puid
