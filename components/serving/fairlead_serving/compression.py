"""Compressed bodies, as HTTP's Content-Encoding names them. A small body can become large: its size is bounded."""

import zlib

from .errors import BadRequest

MIN_BYTES = 1024
"""Shorter responses are sent as they are: compressing them costs more than it saves."""
_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_LEVEL = 1
"""Numbers as text become half as long at the fastest level already."""


def decompress(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Return a body that was compressed; raise BadRequest."""
    at = "header Content-Encoding"
    if encoding in ("", "identity"):
        return body
    if encoding not in _WINDOWS:
        raise BadRequest(f"{at}: got {encoding[:60]!r}, expected gzip, deflate or identity")
    unpacker = zlib.decompressobj(_WINDOWS[encoding])
    try:
        content = unpacker.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise BadRequest(f"body: got {body[:20]!r}, expected {encoding} ({error})") from None
    if len(content) > max_bytes:
        raise BadRequest(f"body: got more than {max_bytes} bytes after decompression, expected at most as many")
    if not unpacker.eof or unpacker.unused_data:
        problem = "bytes after the end" if unpacker.eof else "the end of the body"
        raise BadRequest(f"body: got {problem} of {encoding}, expected one whole stream")
    return content


def choose(accepted: str) -> str:
    """Return the encoding to use for a client that sends this Accept-Encoding; empty for none."""
    usable = set()
    for item in accepted.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        refused = any(part.startswith("q=") and not part[2:].strip("0.") for part in parameters)
        if not refused:
            usable.add(name)
    return next((name for name in ("gzip", "deflate") if name in usable), "")


def compress(content: bytes, encoding: str) -> bytes:
    """Return a body in an encoding that `choose` has returned."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOWS[encoding])
    return packer.compress(content) + packer.flush()
