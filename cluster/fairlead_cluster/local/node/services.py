"""Services: the node listens on each cluster IP and passes connections on to ready pods."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fairlead_cluster.local.node.names import selected_pods
from fairlead_cluster.local.node.objects import Object, named_port, pod_containers, pod_ready

Address = tuple[str, int]
_CONNECT_SECONDS = 5.0
_log = logging.getLogger(__name__)


def derive_routes(services: Iterable[Object], pods: Iterable[Object]) -> dict[Address, list[Address]]:
    """Return where connections to each cluster address go: the ready pods' addresses, maybe none. Pure."""
    pods = list(pods)
    routes: dict[Address, list[Address]] = {}
    for service in services:
        spec = service["spec"]
        if spec.get("clusterIP") in (None, "", "None") or not spec.get("selector"):
            continue
        ready = [pod for pod in selected_pods(service, pods) if pod_ready(pod)]
        for port in spec.get("ports") or []:
            if port.get("protocol", "TCP") != "TCP":
                continue
            target = port.get("targetPort", port["port"])
            numbers = [(pod["status"]["podIP"], named_port(pod_containers(pod), target)) for pod in ready]
            routes[spec["clusterIP"], port["port"]] = [(host, number) for host, number in numbers if number]
    return routes


@dataclass
class _Route:
    server: asyncio.Server | None
    targets: list[Address]
    turn: Iterable[int] = field(default_factory=itertools.count)


class ServiceProxy:
    """One listening socket per address, open as long as its Service exists."""

    def __init__(self) -> None:
        """Start with no Service."""
        self._routes: dict[Address, _Route] = {}

    async def update(self, routes: Mapping[Address, list[Address]]) -> None:
        """Listen on the addresses of `routes` and on no others."""
        for address in [address for address in self._routes if address not in routes]:
            if server := self._routes.pop(address).server:
                server.close()
        for address, targets in routes.items():
            if address in self._routes:
                self._routes[address].targets = targets
            else:
                self._routes[address] = _Route(await self._listen(address), targets)

    def close(self) -> None:
        """Stop listening."""
        for route in self._routes.values():
            if route.server:
                route.server.close()
        self._routes.clear()

    async def _listen(self, address: Address) -> asyncio.Server | None:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(address, reader, writer)

        try:
            return await asyncio.start_server(accept, *address)
        except OSError as error:
            # ports below 1024 need root on most machines; the Service is then reachable by its pods' addresses only
            _log.warning("Service address %s:%d: cannot listen: %s", *address, error)
            return None

    async def _serve(self, address: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            upstream = await self._connect(address)
            if upstream is None:
                writer.transport.abort()
                return
            far_reader, far_writer = upstream
            with contextlib.closing(far_writer):
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))

    async def _connect(self, address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Connect to the next ready pod, or to one after it if that does not respond."""
        route = self._routes.get(address)
        targets = list(route.targets) if route else []
        if not route or not targets:
            return None
        first = next(iter(route.turn))
        for offset in range(len(targets)):
            host, port = targets[(first + offset) % len(targets)]
            with contextlib.suppress(OSError, TimeoutError):
                return await asyncio.wait_for(asyncio.open_connection(host, port), _CONNECT_SECONDS)
        return None


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end, then pass the end on, so that half-closed connections work."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()
