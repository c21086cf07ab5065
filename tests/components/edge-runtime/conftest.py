"""A small client for the edge server."""

import http.client
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_START_SECONDS = 60


def _ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body if isinstance(body, bytes | None) else json.dumps(body))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@pytest.fixture
def ask() -> Callable[..., tuple[int, Any]]:
    """Return a function that sends a request; it returns the status and the answer."""
    return _ask


@pytest.fixture
def wait_ready() -> Callable[..., None]:
    """Return a function that waits until a server is ready."""

    def wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            assert process.poll() is None, log.read_text()
            try:
                if _ask(port, "GET", "/v2/health/ready")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"not ready within {_START_SECONDS} s: {log.read_text()}")

    return wait
