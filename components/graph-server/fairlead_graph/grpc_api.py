"""gRPC: the methods of the Open Inference Protocol v2 and of Seldon in front of the data plane."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import grpc
import orjson
from fairlead_serving.data_plane import DataPlane
from fairlead_serving.errors import Code, ServingError
from fairlead_serving.limits import Limits
from google.protobuf.message import DecodeError, Message

from . import __version__
from .auth.guard import Guard
from .auth.places import Places
from .protocols import open_inference_pb2 as pb
from .protocols.names import (
    GRPC,
    OF_ROOT,
    SELDON_GRPC,
    SELDON_GRPC_AGGREGATE,
    SELDON_GRPC_FEEDBACK,
    SELDON_GRPC_ROUTE,
)
from .puids import PUID, clean_puid
from .repository import EXTENSION, ModelsAreFixed, list_models
from .settings import GrpcSettings
from .traffic.grpc_side import GrpcCall, GrpcTraffic, Head

_log = logging.getLogger(__name__)

_SERVICE = "inference.GRPCInferenceService"
_PROTOCOLS = {
    f"{_SERVICE}/ModelInfer": GRPC,
    # for clients, and as a microservice in another graph
    **{f"seldon.protos.{method}": SELDON_GRPC for method in (
        "Seldon/Predict", "Model/Predict", "Generic/TransformInput", "Transformer/TransformInput",
        "Generic/TransformOutput", "OutputTransformer/TransformOutput",
    )},
    **{f"seldon.protos.{service}/SendFeedback": SELDON_GRPC_FEEDBACK
       for service in ("Seldon", "Model", "Router", "Generic")},
    **{f"seldon.protos.{service}/Route": SELDON_GRPC_ROUTE for service in ("Router", "Generic")},
    **{f"seldon.protos.{service}/Aggregate": SELDON_GRPC_AGGREGATE for service in ("Combiner", "Generic")},
}  # fmt: skip
"""The protocol of each method that the model process answers."""
STATUS: dict[Code, grpc.StatusCode] = {
    Code.OK: grpc.StatusCode.OK,
    Code.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Code.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Code.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Code.UNPROCESSABLE: grpc.StatusCode.FAILED_PRECONDITION,
    Code.INTERNAL: grpc.StatusCode.INTERNAL,
    Code.BAD_NODE: grpc.StatusCode.INTERNAL,
    Code.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Code.TOO_LATE: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""gRPC's word for what became of a request."""
_METADATA_BYTES = 16 << 10
Context = Any  # grpc.aio.ServicerContext; grpc has no types


class GrpcServer:
    """The gRPC server."""

    def __init__(
        self, plane: DataPlane, limits: Limits, settings: GrpcSettings, host: str, traffic: GrpcTraffic | None = None,
        guard: Guard | None = None,
    ) -> None:  # fmt: skip
        """Listen at the port; raise OSError if it is taken."""
        self._grace, self._traffic = limits.grace_seconds, traffic
        self._server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", settings.max_message_bytes),
                ("grpc.max_send_message_length", limits.max_response_bytes + (1 << 20)),
                ("grpc.max_metadata_size", _METADATA_BYTES),
                # a client's further calls wait in the client, so that no connection takes all places
                ("grpc.max_concurrent_streams", max(settings.max_calls // 2, 1)),
                ("grpc.max_allowed_incoming_connections", limits.max_connections),
                ("grpc.server_handshake_timeout_ms", int(limits.header_timeout_seconds * 1000)),
                ("grpc.max_connection_idle_ms", int(limits.idle_timeout_seconds * 1000)),
                # Clients may ping idle connections, but not make the server do nothing else.
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ],
            maximum_concurrent_rpcs=settings.max_calls,
        )
        keyless = Places(max(settings.max_calls // 4, 1))
        seconds = limits.body_timeout_seconds
        self._server.add_generic_rpc_handlers(build_handlers(plane, seconds, traffic, guard, keyless))
        address = f"[{host}]:{settings.port}" if ":" in host else f"{host}:{settings.port}"
        try:
            self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"{address}: {error}") from None

    async def serve(self, stopping: asyncio.Event, stopped: asyncio.Event) -> None:
        """Answer until the event; then accept no more calls, wait for those in flight within the grace, and say so."""
        await self._server.start()
        await stopping.wait()
        await self._server.stop(self._grace)
        stopped.set()
        if self._traffic is not None:
            await self._traffic.close()


def build_handlers(
    plane: DataPlane,
    body_seconds: float,
    traffic: GrpcTraffic | None = None,
    guard: Guard | None = None,
    keyless: Places | None = None,
) -> list[grpc.GenericRpcHandler]:
    """Return the methods of the services; inference passes bytes on, all others are answered here.

    A request has to arrive within some seconds: gRPC itself waits forever, and the call keeps its place.
    """

    async def infer(method: str, protocol: str, body: bytes, context: Context) -> bytes:
        head = {} if protocol == GRPC else {"puid": _read_puid(context)}
        own = partial(answer, protocol, body, context)
        if traffic is not None and traffic.active and protocol not in OF_ROOT:
            return await traffic.answer(GrpcCall(protocol, f"/{method}", head, body), context, own)
        return await own(head)

    async def answer(protocol: str, body: bytes, context: Context, head: Head) -> bytes:
        _, content = await plane.infer(protocol, head, body, context.time_remaining())
        return content

    methods: dict[str, Callable[[bytes, Context], Awaitable[bytes]]] = {
        **{name: partial(infer, name, protocol) for name, protocol in _PROTOCOLS.items()},
        **{f"{_SERVICE}/{name}": _decoded(kind, answer) for name, kind, answer in _methods(plane)},
    }
    services: dict[str, dict[str, Any]] = {}
    for name, method in methods.items():
        service, _, action = name.partition("/")
        # a stream of one message, which is the same to clients, is one that can be waited for with a limit
        check = guard.check_call(name) if guard else None
        places = keyless if guard and check is None else None
        handler = grpc.stream_unary_rpc_method_handler(_guarded(method, body_seconds, check, places))
        services.setdefault(service, {})[action] = handler
    return [grpc.method_handlers_generic_handler(service, handlers) for service, handlers in services.items()]


def _read_puid(context: Context) -> str:
    """Return the id that the client, or another server of ours, has given the request."""
    puid = next((value for key, value in context.invocation_metadata() if key == PUID.lower()), "")
    return clean_puid(puid) if isinstance(puid, str) else ""


def _methods(plane: DataPlane) -> list[tuple[str, type[Message], Callable[[Any], Message]]]:
    """Return each method's name, the type of its request, and how it is answered."""

    def check_model(request: Any) -> Any:
        plane.check_model(request.name, request.version)
        return pb.ModelReadyResponse(ready=plane.unready is None)

    def describe(request: Any) -> Any:
        plane.check_model(request.name, request.version)
        facts = orjson.loads(plane.describe())
        sides = {
            side: [pb.ModelMetadataResponse.TensorMetadata(**tensor) for tensor in facts[side]]
            for side in ("inputs", "outputs")
        }
        return pb.ModelMetadataResponse(
            name=facts["name"], versions=facts["versions"], platform=facts["platform"], **sides
        )

    def index(request: Any) -> Any:
        models = [pb.RepositoryIndexResponse.ModelIndex(**model) for model in list_models(plane, request.ready)]
        return pb.RepositoryIndexResponse(models=models)

    def reject(_: Any) -> Any:
        raise ModelsAreFixed(plane)

    return [
        ("ServerLive", pb.ServerLiveRequest, lambda _: pb.ServerLiveResponse(live=True)),
        ("ServerReady", pb.ServerReadyRequest, lambda _: pb.ServerReadyResponse(ready=plane.unready is None)),
        ("ModelReady", pb.ModelReadyRequest, check_model),
        ("ServerMetadata", pb.ServerMetadataRequest, lambda _: _SERVER),
        ("ModelMetadata", pb.ModelMetadataRequest, describe),
        ("RepositoryIndex", pb.RepositoryIndexRequest, index),
        ("RepositoryModelLoad", pb.RepositoryModelLoadRequest, reject),
        ("RepositoryModelUnload", pb.RepositoryModelUnloadRequest, reject),
    ]


_SERVER = pb.ServerMetadataResponse(name="fairlead-graph-server", version=__version__, extensions=[EXTENSION])


def _decoded(kind: type[Message], answer: Callable[[Any], Message]) -> Callable[[bytes, Context], Awaitable[bytes]]:
    async def method(body: bytes, context: Context) -> bytes:
        try:
            request = kind.FromString(body)
        except DecodeError:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"message: expected a {kind.DESCRIPTOR.name}")
        return bytes(answer(request).SerializeToString())

    return method


def _guarded(
    method: Callable[[bytes, Context], Awaitable[bytes]],
    body_seconds: float,
    check: Callable[[Any], None] | None = None,
    places: Places | None = None,
) -> Callable[[Any, Context], Awaitable[bytes]]:
    """Check the call's metadata, receive the request in time, and say errors in gRPC's words."""

    async def answer(_: Any, context: Context) -> bytes:
        try:
            if check is not None:
                check(context.invocation_metadata())
            async with places or contextlib.nullcontext(), asyncio.timeout(body_seconds):
                body = await context.read()
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, f"message: got none within {body_seconds:g} s")
        except ServingError as error:
            await context.abort(STATUS[error.code], str(error))
        if body is grpc.aio.EOF:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "message: got none, expected one")
        try:
            return await method(body, context)
        except ServingError as error:
            await context.abort(STATUS[error.code], str(error))
        except grpc.aio.AbortError:
            raise
        except Exception:  # noqa: BLE001 - the outermost loop of a call; gRPC would report it to the client
            _log.exception("call failed")
            await context.abort(grpc.StatusCode.INTERNAL, "internal error; see the server's log")
        raise AssertionError("unreachable: abort raises")

    return answer
