"""SIGTERM with calls over gRPC in flight, and no connection over HTTP that would hold the server."""

import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from fairlead_graph.protocols import open_inference_pb2 as pb

from tests.support.ports import free_port
from tests.support.traffic import RawServer, Split, environment, http_answer, route

METHOD = "/inference.GRPCInferenceService/ModelInfer"
VALUES = np.array([[1.0]], np.float64)


def begin(port: int) -> Any:
    """Return a call that is on its way."""
    tensor = {"name": "x", "datatype": "FP64", "shape": VALUES.shape}
    request = pb.ModelInferRequest(model_name="digits", inputs=[tensor], raw_input_contents=[VALUES.tobytes()])
    method = grpc.insecure_channel(f"127.0.0.1:{port}").unary_unary(
        METHOD, pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString
    )
    return method.future(request, timeout=60)


def stop_accepting(server: Any) -> None:
    """Ask the server to exit, and wait until it accepts no more connections."""
    server.process.send_signal(signal.SIGTERM)

    def is_closed() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", server.port)) != 0

    server.wait(is_closed, 30)


def test_a_call_in_flight_is_finished(start: Callable[..., Any]) -> None:
    port = free_port()
    with RawServer() as node:
        far = {"name": "far", "type": "MODEL", "endpoint": {"host": "127.0.0.1", "port": node.port, "type": "REST"}}
        server = start(far, FAIRLEAD_GRPC_PORT=str(port), FAIRLEAD_NODE_TIMEOUT_SECONDS="60")
        server.wait(lambda: server.get("/v2/models/digits").status == 200)
        call = begin(port)
        server.wait(lambda: b"fairlead_graph_requests_in_flight 1.0" in server.get("/metrics").body, 30)
        stop_accepting(server)
        node.release(http_answer(b'{"data": {"ndarray": [[7.0]]}}'))
        answer = call.result()
    assert np.frombuffer(answer.raw_output_contents[0], "<f8").tolist() == [7.0]
    assert server.process.wait(30) == 0


def test_a_forwarded_call_in_flight_is_finished(start: Callable[..., Any], folder: Path) -> None:
    asked, gate, port = threading.Event(), threading.Event(), free_port()

    def answer(request: bytes, context: Any) -> bytes:
        asked.set()
        gate.wait(60)
        return pb.ModelInferResponse(model_name="late").SerializeToString()

    handler = grpc.unary_unary_rpc_method_handler(answer)
    with ThreadPoolExecutor(1) as pool:
        other = grpc.server(pool)
        other.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler("inference.GRPCInferenceService", {"ModelInfer": handler})]
        )
        other_port = other.add_insecure_port("127.0.0.1:0")
        other.start()
        leaf = {"name": "m", "type": "MODEL", "implementation": "SIMPLE_MODEL"}
        server = start(leaf, **environment(folder, "stable", FAIRLEAD_GRPC_PORT=str(port))).wait_ready()
        Split(server).set(route(1, grpc_port=other_port, percent=100))
        call = begin(port)
        assert asked.wait(30)
        stop_accepting(server)
        gate.set()
        assert call.result().model_name == "late"
        assert dict(call.trailing_metadata())["fairlead-route"] == "candidate"
        assert server.process.wait(30) == 0
        other.stop(None)
