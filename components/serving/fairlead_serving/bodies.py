"""JSON bodies of requests and responses, bounded before they are built."""

from collections.abc import Sequence
from typing import Any

import orjson

from .errors import BadRequest, Unprocessable

MAX_CONTAINERS = 1 << 20
"""Maximum number of lists and objects in a body: each needs about 64 bytes of memory for two bytes of text."""


def parse_json(body: bytes | memoryview) -> Any:
    """Parse a request's body; raise BadRequest."""
    body = bytes(body)  # no copy of what is bytes already
    containers = body.count(b"[") + body.count(b"{")
    if containers > MAX_CONTAINERS:
        raise BadRequest(f"body: got {containers} opening brackets, expected at most {MAX_CONTAINERS}")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"body: got {body[:60]!r}, expected JSON ({error})") from None


def dump_json(document: Any, max_bytes: int) -> bytes:
    """Encode a response; raise Unprocessable if it is longer than `max_bytes`."""
    try:
        content = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:
        raise Unprocessable(f"the response cannot be encoded as JSON: {error}") from None
    check_length(len(content), max_bytes)
    return content


def dump_answer(document: Any, binary: Sequence[bytes], max_bytes: int) -> tuple[dict[str, Any], bytes]:
    """Encode a response with tensors as bytes after its JSON; return what to say of it, and the body.

    Raises Unprocessable if it is longer than `max_bytes`.
    """
    content = dump_json(document, max_bytes)
    if not binary:
        return {}, content
    answer = b"".join((content, *binary))
    check_length(len(answer), max_bytes)
    return {"header_bytes": len(content)}, answer


def check_length(count: int, max_bytes: int) -> None:
    """Raise Unprocessable if a response is longer than `max_bytes`."""
    if count > max_bytes:
        raise Unprocessable(f"the response has {count} bytes, expected at most {max_bytes}")
