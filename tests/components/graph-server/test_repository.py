"""The model repository extension: what is served is listed, and clients are told who changes it, over HTTP and gRPC."""

import json
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from fairlead_graph.protocols import open_inference_pb2 as pb

from tests.support import onnx_models as onnx
from tests.support.ports import free_port

SERVICE = "inference.GRPCInferenceService"
REASON = "explicit model load / unload is not allowed: the ModelDeployment digits says what this server serves"
INDEX = "/v2/repository/index"
KEY = "k" * 32


@pytest.fixture(scope="module")
def model(publish_model: Callable[..., str]) -> dict[str, Any]:
    return {"name": "twice", "type": "MODEL", "modelUri": publish_model("twice", onnx.scale(2.0, ["n", 3]))}


@pytest.fixture(scope="module")
def server(start: Callable[..., Any], model: dict[str, Any]) -> Any:
    port = free_port()
    server = start(model, FAIRLEAD_GRPC_PORT=str(port)).wait_ready()
    server.grpc_port = port
    return server


@pytest.fixture(scope="module")
def unready(start: Callable[..., Any]) -> Any:
    """Return a server of a node elsewhere that does not respond."""
    port = free_port()
    node = {"name": "far", "type": "MODEL", "endpoint": {"host": "127.0.0.1", "port": free_port(), "type": "REST"}}
    server = start(node, FAIRLEAD_GRPC_PORT=str(port))
    # loaded, and found not to respond
    server.wait(lambda: "does not respond" in server.get("/v2/health/ready").json.get("reason", ""))
    server.grpc_port = port
    return server


def call(server: Any, method: str, message: Any, kind: Any, *metadata: tuple[str, str]) -> Any:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        answer = channel.unary_unary(f"/{SERVICE}/{method}")(
            message.SerializeToString(), timeout=20, metadata=metadata, wait_for_ready=True
        )
    return kind.FromString(answer)


def read_index(server: Any, **fields: Any) -> list[tuple[str, str, str]]:
    answer = call(server, "RepositoryIndex", pb.RepositoryIndexRequest(**fields), pb.RepositoryIndexResponse)
    return [(each.name, each.version, each.state) for each in answer.models]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"ready": true}', b'{"ready": false}'])
def test_the_graph_is_listed_with_its_version(server: Any, body: bytes) -> None:
    (version,) = server.get("/v2/models/digits").json["versions"]
    listed = [{"name": "digits", "version": version, "state": "READY", "reason": ""}]
    assert (server.post(INDEX, body).status, server.post(INDEX, body).json) == (200, listed)
    ready = bool(json.loads(body or b"{}").get("ready"))
    assert read_index(server, ready=ready) == [("digits", version, "READY")]


def test_what_is_not_ready_is_listed_with_its_reason_unless_only_ready_models_are_asked_for(unready: Any) -> None:
    (listed,) = unready.post(INDEX, b"").json
    assert listed["state"] == "UNAVAILABLE"
    assert listed["reason"] == unready.get("/v2/health/ready").json["reason"] != ""
    assert unready.post(INDEX, b'{"ready": true}').json == []
    assert [state for *_, state in read_index(unready)] == ["UNAVAILABLE"]
    assert read_index(unready, ready=True) == []


@pytest.mark.parametrize("body", [b"[]", b"1", b'{"ready": 1}', b'{"ready"', b" " * 5000, b"[" * 100])
def test_a_list_is_asked_for_with_an_object_or_nothing(server: Any, body: bytes) -> None:
    answer = server.post(INDEX, body)
    assert (answer.status, answer.json["error"].startswith("body: got ")) == (400, True)


@pytest.mark.parametrize("name", ["digits", "other", "%2e%2e"])
@pytest.mark.parametrize("action", ["load", "unload"])
def test_clients_load_and_unload_nothing(server: Any, action: str, name: str) -> None:
    answer = server.post(f"/v2/repository/models/{name}/{action}", {"parameters": {"unload_dependents": True}})
    assert (answer.status, answer.json) == (400, {"error": REASON})
    assert "retry-after" not in answer.headers
    kind = {"load": pb.RepositoryModelLoadRequest, "unload": pb.RepositoryModelUnloadRequest}[action]
    with pytest.raises(grpc.RpcError) as caught:
        call(server, f"RepositoryModel{action.capitalize()}", kind(model_name=name), pb.RepositoryModelLoadResponse)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, REASON)
    assert server.get("/v2/models/digits/ready").status == 200


@pytest.mark.parametrize(
    "path", ["", "models", "models/digits/config", "models/load", "models//load", "models/a/b/c/load", "models/a/load/"]
)
def test_other_paths_are_not_found(server: Any, path: str) -> None:
    assert server.post(f"/v2/repository/{path}", b"").status == 404


def test_the_list_is_asked_for_with_post(server: Any) -> None:
    answer = server.get(INDEX)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_the_extension_is_in_the_metadata(server: Any) -> None:
    assert "model_repository" in server.get("/v2").json["extensions"]
    facts = call(server, "ServerMetadata", pb.ServerMetadataRequest(), pb.ServerMetadataResponse)
    assert "model_repository" in facts.extensions


def test_the_extension_needs_a_key_where_requests_do(start: Any, model: dict[str, Any], folder: Any) -> None:
    (folder / "keys").write_text(f"{KEY}\n")
    port = free_port()
    server = start(model, FAIRLEAD_API_KEYS_FILE=str(folder / "keys"), FAIRLEAD_GRPC_PORT=str(port)).wait_ready()
    server.grpc_port = port
    for path in (INDEX, "/v2/repository/models/digits/load", "/v2/repository/models/digits/unload"):
        assert server.post(path, b"").status == 401
        assert server.post(path, b"", {"X-API-Key": KEY}).status == (200 if path == INDEX else 400)
    for method, kind in (
        ("RepositoryIndex", pb.RepositoryIndexRequest),
        ("RepositoryModelLoad", pb.RepositoryModelLoadRequest),
        ("RepositoryModelUnload", pb.RepositoryModelUnloadRequest),
    ):
        for metadata, code in (
            ((), grpc.StatusCode.UNAUTHENTICATED),
            ((("x-api-key", KEY),), None if method == "RepositoryIndex" else grpc.StatusCode.INVALID_ARGUMENT),
        ):
            try:
                call(server, method, kind(), pb.RepositoryIndexResponse, *metadata)
                found = None
            except grpc.RpcError as error:
                found = error.code()
            assert found is code
