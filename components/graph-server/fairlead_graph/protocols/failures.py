"""The error responses of the protocols; the HTTP process, which loads no numpy, uses them too."""

from typing import Any

import orjson
from fairlead_serving.errors import ServingError


def build_failure(protocol: str, error: ServingError) -> bytes:
    """Build the response's body: Seldon's failure message, or V2's error."""
    document: dict[str, Any] = {"error": str(error)}
    if protocol == "seldon":
        status = {"code": error.status, "info": str(error), "reason": error.reason, "status": "FAILURE"}
        document = {"status": status}
    return orjson.dumps(document)
