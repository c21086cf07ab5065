"""One API server over HTTP: authentication, connections, retries of a request, errors, streams of lines."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson
from aiohttp.abc import AbstractStreamWriter

from fairlead.api.wire import escape_for_yaml
from fairlead.kube.config import ClusterConfig
from fairlead.kube.errors import ApiError, NotLeading
from fairlead.kube.kinds import Kind
from fairlead.kube.retries import first_wait, is_transient, retrying

Object = dict[str, Any]

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
_MAX_CONNECTIONS = 12
"""A TLS connection costs a handshake and 256 KiB, and more connections do not make a busy API server faster."""


class Transport:
    """Sends requests to one API server as one identity. Use as an async context manager."""

    def __init__(self, config: ClusterConfig, count: Callable[[str, Kind], None] | None = None) -> None:
        self.config = config
        self._count = count
        """Called with the method (LIST for a page of a list) and kind of each request except watches."""
        self.may_write: Callable[[], bool] = lambda: True
        """Asked before each attempt of a request that is no GET: a leader whose lease has expired must not write."""
        self._session: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = None
        """Watches: each holds a connection all the time, so they must not take those of requests."""
        self._retrying = retrying()

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=_MAX_CONNECTIONS, ssl=self.config.ssl_context())
        timeout = aiohttp.ClientTimeout(total=30, sock_connect=10)
        self._session = aiohttp.ClientSession(self.config.server, connector=connector, timeout=timeout)
        unlimited = aiohttp.TCPConnector(limit=0, ssl=self.config.ssl_context())
        self._streams = aiohttp.ClientSession(self.config.server, connector=unlimited, timeout=timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in (self._session, self._streams):
            if session:
                await session.close()

    async def request(
        self,
        method: str,
        kind: Kind,
        path: str,
        body: Mapping[str, Any] | None = None,
        content_type: str = JSON,
        params: Mapping[str, str] | None = None,
        accept: str = JSON,
        count_as: str | None = None,
    ) -> Object:
        """Send a request, with retries after transient errors.

        Raises ApiError for a status of 400 and above, and NotLeading for a write that may not start any more.
        """
        data = None if body is None else _encode(body, content_type)

        def check() -> None:
            if method != "GET" and not self.may_write():
                raise NotLeading(f"{method} {path}: not sent, because the lease has expired")

        async def send() -> Object:
            check()
            if self._count:
                self._count(count_as or method, kind)
            payload = None if data is None else _GuardedBody(data, content_type, check)
            async with self.open(method, path, payload, content_type, params, accept=accept) as answer:
                await check_status(answer)
                result: Object = orjson.loads(await answer.read())
                return result

        try:
            return await send()
        except (ApiError, aiohttp.ClientError) as error:
            if not is_transient(error):
                raise
            await asyncio.sleep(first_wait(error))
            return await self._retrying(send)

    def open(
        self,
        method: str,
        path: str,
        data: aiohttp.Payload | None = None,
        content_type: str = JSON,
        params: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout | None = None,
        accept: str = JSON,
        stream: bool = False,
    ) -> Any:
        """Open a request; use the response as an async context manager. `stream` is for watches."""
        session = self._streams if stream else self._session
        if session is None:
            raise RuntimeError("KubeClient was used outside `async with`")
        headers = {"Accept": accept}
        if token := self.config.bearer():
            headers["Authorization"] = f"Bearer {token}"
        if data is not None:
            headers["Content-Type"] = content_type
        timeout = timeout or session.timeout
        return session.request(method, path, data=data, headers=headers, params=params, timeout=timeout)


def _encode(body: Mapping[str, Any], content_type: str) -> bytes:
    data = orjson.dumps(body)
    if content_type != APPLY or (data.isascii() and b"\x7f" not in data):
        return data
    # such as in the log of a tenant's pod that a status quotes
    return escape_for_yaml(data.decode()).encode()


class _GuardedBody(aiohttp.BytesPayload):
    """A body that is checked right before it is sent, with its headers.

    Before that, a request waits for its connection and the event loop, and this process may be paused while it does.
    """

    def __init__(self, content: bytes, content_type: str, check: Callable[[], None]) -> None:
        super().__init__(content, content_type=content_type)
        self._check = check

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Write the body, unless the check raises an exception."""
        self._check()
        await super().write_with_length(writer, content_length)


async def check_status(response: aiohttp.ClientResponse) -> None:
    """Raise ApiError for a status of 400 and above."""
    if response.status < 400:
        return
    text = await response.text()
    retry_after = response.headers.get("Retry-After", "")
    seconds = float(retry_after) if retry_after.isdigit() else None
    try:
        status = orjson.loads(text)
        raise ApiError(response.status, status.get("reason", ""), status.get("message", text), seconds)
    except (orjson.JSONDecodeError, AttributeError):
        raise ApiError(response.status, response.reason or "", text[:500], seconds) from None


async def iterate_lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield complete lines; aiohttp's own line reader rejects lines over 64 KiB."""
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line
