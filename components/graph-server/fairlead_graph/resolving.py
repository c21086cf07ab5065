"""Names of other servers, resolved as every Python program does it.

uvloop and gRPC resolve below Python, where the names of a local cluster's Services are not known.
"""

import asyncio
import socket

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult


class PythonResolver(AbstractResolver):
    """Resolves the names of aiohttp's connections in threads."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host; raise OSError."""
        found = await _look_up(host, port, family)
        return [
            ResolveResult(hostname=host, host=str(address[0]), port=port, family=kind, proto=protocol, flags=0)
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Do nothing."""


def open_connector(limit: int, keepalive_seconds: float) -> aiohttp.TCPConnector:
    """Return a pool of connections to other servers."""
    return aiohttp.TCPConnector(limit=limit, keepalive_timeout=keepalive_seconds, resolver=PythonResolver())


async def resolve_target(host: str, port: int) -> str:
    """Return gRPC's target for a server; raise OSError."""
    found = await _look_up(host, port, socket.AF_UNSPEC)
    family, *_, address = found[0]
    return f"ipv6:[{address[0]}]:{port}" if family == socket.AF_INET6 else f"ipv4:{address[0]}:{port}"


async def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[tuple]:  # type: ignore[type-arg]
    try:
        return await asyncio.to_thread(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host} is no name of a host: {error}") from None
