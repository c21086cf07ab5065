"""Slow clients of every kind, all at once: the server answers others meanwhile, and closes them in the end."""

import json
import socket
import time
from collections import Counter
from collections.abc import Iterator

from tests.chaos.servers.targets import ADDRESS, Target

_COUNT = 100
_LARGE = 8 * 2**20


def run_slow_clients(target: Target, seconds: float) -> tuple[Counter[str], list[str], int]:
    """Open slow clients, feed them for some seconds; return how they ended, the findings and the largest memory."""
    opened: list[tuple[str, socket.socket, bytes]] = []
    findings: list[str] = []
    for kind, first, drip in _kinds(target):
        for _ in range(_COUNT):
            try:
                connection = socket.create_connection((ADDRESS, target.port), timeout=5)
                connection.setblocking(False)
                opened.append((kind, connection, drip))
                connection.send(first)
            except OSError:
                continue
    largest, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for _, connection, drip in opened:
            try:
                connection.send(drip)
            except OSError:
                continue
        begin = time.monotonic()
        for path in ("/v2/health/live", "/v2/health/ready"):
            status, _ = target.ask("GET", path)
            if status != 200:
                findings.append(f"slow clients: {path} answers {status}")
        if time.monotonic() - begin > 5:
            findings.append(f"slow clients: health took {time.monotonic() - begin:.1f} s")
        largest = max(largest, target.rss())
        time.sleep(0.5)
    ends = Counter(f"{kind}: {_describe_end(connection)}" for kind, connection, _ in opened)
    for _, connection, _ in opened:
        connection.close()
    return ends, findings + [f"still open: {key}" for key in ends if key.endswith("open")], largest


def _kinds(target: Target) -> Iterator[tuple[str, bytes, bytes]]:
    head = f"POST {target.path} HTTP/1.1\r\nHost: x\r\n".encode()
    numbers = ",".join(["1.5"] * 1_500_000)
    body = f'{{"inputs": [{{"name": "x", "datatype": "FP32", "shape": [500000, 3], "data": [{numbers}]}}]}}'.encode()
    get = f"GET /v2/models/{target.kind.model} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    yield "dribbles headers", b"POST", b"x"
    yield "sends headers only", head + b"Content-Length: 9\r\n\r\n", b""
    yield "dribbles a body", head + b"Content-Length: 100000\r\n\r\n", b" "
    yield (
        "sends a large body short of a byte",
        head + f"Content-Length: {_LARGE}\r\n\r\n".encode() + b" " * (_LARGE - 1),
        b" "[:0],
    )
    yield "asks for large answers and does not read", head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body, b""
    yield "asks often and does not read", get * 200, get


def _describe_end(connection: socket.socket) -> str:
    """Return whether the server has closed the connection."""
    try:
        for _ in range(10_000):
            if not connection.recv(1 << 16):
                return "closed"
    except BlockingIOError:
        return "open"
    except OSError:
        return "closed"
    return "open"


def body_of(rows: int) -> bytes:
    """Return a valid request's body of some rows of three numbers."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [rows, 3], "data": [1.5] * (3 * rows)}
    return json.dumps({"inputs": [tensor]}).encode()
