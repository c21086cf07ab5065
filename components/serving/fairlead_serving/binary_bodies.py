"""Bodies of V2's binary tensor extension over HTTP: a header says where the JSON ends and the bytes begin."""

from collections.abc import Mapping
from typing import Any

from .errors import BadRequest
from .messages import Request, Response

EXTENSION = "binary_tensor_data"
"""Its name in a server's metadata."""
HEADER = "Inference-Header-Content-Length"
BYTES = "application/octet-stream"
_KEY = HEADER.lower().encode()


def read_header_bytes(request: Request) -> int | None:
    """Return the length of the JSON in a request's body, or None for a body that is all JSON; raise BadRequest."""
    length = request.header(_KEY)
    if not length:
        return None
    if not (length.isdigit() and len(length) < 12):
        raise BadRequest(f"header {HEADER}: got {length.decode('ascii', 'replace')!r:.60}, expected a number of bytes")
    return int(length)


def build_answer(head: Mapping[str, Any], content: bytes) -> Response:
    """Return the response with a model process's reply."""
    if "header_bytes" not in head:
        return Response(content)
    return Response(content, 200, BYTES, [(HEADER, str(head["header_bytes"]))])
