"""Fuzzed requests: valid ones, changed by a seeded generator in their JSON, their bytes or their HTTP."""

import json
import random
import socket
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.chaos.servers.targets import ADDRESS, Target

_VALUES: tuple[object, ...] = (
    None, True, 0, -1, 2**31, -(2**63), 2**64, 1e308, -0.0, 5e-324, "", "x", "NaN", "\x00", "\ud800", [], [[]], {},
    {"a": []}, [None], ["a"], "x" * 5000, [0] * 5000, [[[[[[1]]]]]],
)  # fmt: skip
_KEYS = ("name", "datatype", "shape", "data", "parameters", "inputs", "outputs", "id", "binary_data_size")
_TYPES = ("FP32", "FP64", "INT64", "UINT8", "BOOL", "BYTES", "FP16", "BF16", "fp32", "")
_HEADERS = (
    b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Content-Length: -1",
    b"Content-Length: \xb2", b"Host: y", b"Expect: 100-continue", b"Upgrade: h2c\r\nConnection: Upgrade",
    b"X: " + b"a" * 40000, b"Connection: close", b"Content-Encoding: gzip", b"Inference-Header-Content-Length: 3",
    b": x", b"A\x00: b", b"Range: bytes=0-",
)  # fmt: skip
_EXPECTED = {200, 400, 404, 405, 408, 413, 422, 431}


def fuzz(target: Target, count: int, seed: int, sent: Callable[[], None]) -> tuple[Counter[str], list[str]]:
    """Send fuzzed requests on eight threads, and report each with `sent`; return the statuses and the findings."""
    statuses: Counter[str] = Counter()
    findings: list[str] = []

    def send(number: int) -> None:
        content = build_request(target, random.Random(seed * 1_000_003 + number))
        status = exchange(target, content)
        statuses[str(status)] += 1
        if status not in _EXPECTED:
            findings.append(f"request {number}: status {status}")
        sent()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(count)))
    return statuses, findings


def build_request(target: Target, rng: random.Random) -> bytes:
    """Build one request's bytes."""
    document: object = {
        "id": "a",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [rng.uniform(-9, 9) for _ in range(3)]}],
    }
    kind = rng.choice(("valid", "json", "json", "json", "bytes", "http", "path"))
    if kind == "json":
        for _ in range(rng.randint(1, 3)):
            document = _change(document, rng)
    body = json.dumps(document, allow_nan=True).encode()
    if kind == "bytes":
        body = _damage(body, rng)
    path, headers, method = target.path, [b"Host: x", b"Content-Length: %d" % len(body)], b"POST"
    if kind == "path":
        path = rng.choice(
            ("/", "*", "/v2/models/", "/v2/models/" + "x" * 3000, target.path + "/..", "/%00", "//", "/v2?x", path)
        )
        method = rng.choice((b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"POST", b"TRACE"))
    if kind == "http":
        for _ in range(rng.randint(1, 2)):
            headers.insert(rng.randint(0, len(headers)), rng.choice(_HEADERS))
        if rng.random() < 0.2:
            headers.pop(rng.randrange(len(headers)))
    content = (
        method + b" " + path.encode() + b" HTTP/1.1\r\n" + b"".join(line + b"\r\n" for line in headers) + b"\r\n" + body
    )
    return _damage(content, rng) if kind == "http" and rng.random() < 0.3 else content


def exchange(target: Target, content: bytes) -> int | None:
    """Send bytes, close this side, and return the last status; None if the server closes without one."""
    with socket.create_connection((ADDRESS, target.port), timeout=60) as connection:
        try:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # answered early
        answer = b""
        try:
            while chunk := connection.recv(1 << 16):
                answer += chunk
        except ConnectionResetError:
            pass
    lines = [part for part in answer.split(b"HTTP/1.1 ")[1:] if not part.startswith(b"100")]
    return int(lines[0][:3]) if lines else None


def _change(value: object, rng: random.Random) -> object:
    """Return a document with one value, somewhere in it, changed."""
    if rng.random() < 0.15 or not isinstance(value, dict | list) or not value:
        return rng.choice((*_VALUES, *_TYPES))
    if isinstance(value, list):
        index = rng.randrange(len(value))
        if rng.random() < 0.2:
            return value * rng.choice((0, 2, 300))
        return [*value[:index], _change(value[index], rng), *value[index + 1 :]]
    key = rng.choice(list(value))
    if rng.random() < 0.2:
        return {**value, rng.choice(_KEYS): rng.choice(_VALUES)}
    if rng.random() < 0.1:
        return {name: item for name, item in value.items() if name != key}
    return {**value, key: _change(value[key], rng)}


def _damage(content: bytes, rng: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        position = rng.randrange(len(data) + 1)
        action = rng.randrange(3)
        if action == 0:
            data[position:position] = rng.randbytes(rng.randint(1, 8))
        elif action == 1:
            del data[position : position + rng.randint(1, 8)]
        elif position < len(data):
            data[position] = rng.randrange(256)
    return bytes(data)
