"""The agent's client for the launcher's authenticated channel."""

import http.client
import json
import logging
import time
from collections.abc import Callable
from typing import Any

from .channel import NONCE, SIGNATURE, Sender, is_answer_genuine

log = logging.getLogger("agent")

_ANSWER_LIMIT = 1 << 20


class ChannelError(Exception):
    """The launcher cannot be reached, or the answer does not come from this job's launcher."""


class RequestRejected(Exception):
    """This job's launcher rejected the request; retrying would not help."""


class LauncherClient:
    """Sends signed requests to the launcher."""

    def __init__(self, host: str, port: int, key: bytes) -> None:
        self._host, self._port, self._key = host, port, key
        self._sender = Sender(key)
        self._kept: http.client.HTTPConnection | None = None

    def post(self, path: str, message: dict[str, Any], *, timeout: float = 5.0, keep: bool = False) -> dict[str, Any]:
        """Send a message and return the answer; raise ChannelError or RequestRejected.

        With `keep`, the connection is kept for the next request with `keep`; only one thread may use it.
        """
        connection = self._kept if keep else None
        if connection is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        body = json.dumps(message).encode()
        headers = self._sender.sign("POST", path, body, time.time())
        try:
            connection.request("POST", path, body, headers | {"Connection": "keep-alive" if keep else "close"})
            response = connection.getresponse()
            content = response.read(_ANSWER_LIMIT)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ChannelError(f"launcher {self._host}:{self._port}: {error}") from None
        if keep:
            self._kept = connection
        else:
            connection.close()
        return self._read(path, headers[NONCE], response, content)

    def _read(self, path: str, nonce: str, response: http.client.HTTPResponse, content: bytes) -> dict[str, Any]:
        if response.status == 401:
            raise ChannelError(f"launcher {self._host}:{self._port} does not accept this job's key")
        if not is_answer_genuine(self._key, nonce, response.status, content, response.getheader(SIGNATURE)):
            raise ChannelError(f"launcher {self._host}:{self._port}: the answer is not signed with this job's key")
        answer: dict[str, Any] = json.loads(content)
        if response.status != 200:
            raise RequestRejected(f"{path}: {answer.get('error')}")
        return answer


def retry(send: Callable[[], dict[str, Any]], *, seconds: float) -> dict[str, Any]:
    """Call `send` until it succeeds, with a backoff of 0.1 to 3 s; reraise the last ChannelError at the timeout."""
    end, pause, logged = time.monotonic() + seconds, 0.1, ""
    while True:
        try:
            return send()
        except ChannelError as error:
            if time.monotonic() + pause > end:
                raise
            if str(error) != logged:
                logged = str(error)
                log.info("retrying: %s", error)
        time.sleep(pause)
        pause = min(2 * pause, 3.0)
