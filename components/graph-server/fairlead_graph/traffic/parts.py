"""The parts of a server that split its traffic, put together from its settings."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairlead_contracts.traffic import TrafficDocument
from fairlead_serving.data_plane import Observer
from fairlead_serving.errors import Code

from ..metrics import Metrics
from ..protocols.names import FEEDBACK
from ..settings import Settings
from .control import Control
from .http_side import HttpTraffic
from .key import Onward, TrafficKey
from .loading import load_code
from .metrics import RouteMetrics
from .split import Traffic

if TYPE_CHECKING:
    from .grpc_side import GrpcTraffic


@dataclass(frozen=True)
class TrafficParts:
    """What the servers of the protocols need; only the observer if nothing is split."""

    observer: Observer
    traffic: Traffic | None = None
    control: Control | None = None
    http: HttpTraffic | None = None
    grpc: "GrpcTraffic | None" = None
    key: TrafficKey | None = None

    async def close(self) -> None:
        """End copies on their way, and close connections; those of gRPC are its server's to close."""
        if self.traffic is not None:
            await self.traffic.close()
        if self.http is not None:
            await self.http.close()


class _Observer:
    """Keeps the metrics, and counts the predictions of this server for the operator."""

    def __init__(self, metrics: Metrics, traffic: Traffic) -> None:
        self._metrics, self._traffic = metrics, traffic
        self.observe_reply = metrics.observe_reply

    def observe_request(self, protocol: str, code: Code, seconds: float) -> None:
        self._metrics.observe_request(protocol, code, seconds)
        if protocol not in FEEDBACK:
            self._traffic.own.observe(code, seconds)


async def build_traffic(settings: Settings, metrics: Metrics) -> TrafficParts:
    """Return the parts, with the document of the start in force."""
    if settings.traffic is None:
        return TrafficParts(metrics)
    has_grpc = settings.grpc.port is not None

    async def prepare(document: TrafficDocument) -> None:
        await load_code(document, has_grpc)

    traffic = Traffic(settings.traffic.revision, settings.limits, RouteMetrics(metrics.registry))
    key = TrafficKey(settings.traffic)
    onward = Onward(key, keeps_keys=settings.api_keys_file is not None)
    control = Control(traffic, key, prepare)
    if settings.traffic.file is not None:
        await control.read(settings.traffic.file)
    grpc = _build_grpc(traffic, settings, onward) if has_grpc else None
    return TrafficParts(_Observer(metrics, traffic), traffic, control, HttpTraffic(traffic, onward), grpc, key)


def _build_grpc(traffic: Traffic, settings: Settings, onward: Onward) -> "GrpcTraffic":
    from .grpc_sender import GrpcSender  # gRPC takes 25 MiB that a server without it has no use for
    from .grpc_side import GrpcTraffic

    sender = GrpcSender(settings.grpc.max_message_bytes, settings.limits.run_timeout_seconds)
    return GrpcTraffic(traffic, sender, onward)
