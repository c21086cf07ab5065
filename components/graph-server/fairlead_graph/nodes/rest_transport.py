"""Remote servers over HTTP."""

import aiohttp
from fairlead_serving.errors import Code

from ..resolving import open_connector
from .remote import Answer, Broken, Unreachable

# A compressed answer could be any length after decompression: none is asked for, and none is understood.
_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
# The servers of Seldon's wrapper close idle connections after 2 s; this client must close them first.
_KEEPALIVE_SECONDS = 1.5
_CONNECTIONS = 100
_CODES = {200: Code.OK, 400: Code.INVALID, 503: Code.UNAVAILABLE, 504: Code.TOO_LATE}


class RestTransport:
    """A pool of connections to one server; an action is a path."""

    def __init__(self, host: str, port: int, max_bytes: int) -> None:
        self.address = f"http://{host}:{port}"
        self._max_bytes = max_bytes
        self._session: aiohttp.ClientSession | None = None

    async def send(self, action: str, body: bytes | None) -> Answer:
        """Send a POST, or a GET if there is no body; raise Unreachable or Broken."""
        method, url = "GET" if body is None else "POST", self.address + action
        try:
            async with self._pool().request(
                method, url, data=body, headers=_HEADERS, allow_redirects=False
            ) as response:
                return Answer(
                    str(response.status), _CODES.get(response.status, Code.BAD_NODE), await self._read(response)
                )
        except aiohttp.ClientConnectorError as error:
            raise Unreachable(str(error)) from None
        except aiohttp.ClientError as error:
            raise Broken(str(error) or type(error).__name__) from None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        parts, size = [], 0
        async for part in response.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > self._max_bytes:
                response.close()
                raise Broken(f"its answer has more than {self._max_bytes} bytes")
        return b"".join(parts)

    def _pool(self) -> aiohttp.ClientSession:
        """Return the session, opened on first use because it belongs to the running event loop."""
        if self._session is None:
            connector = open_connector(limit=_CONNECTIONS, keepalive_seconds=_KEEPALIVE_SECONDS)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=aiohttp.ClientTimeout(total=None), auto_decompress=False
            )
        return self._session
