"""The error responses of the protocols over HTTP."""

from typing import Any

import orjson
from fairlead_serving.errors import ServingError
from fairlead_serving.messages import HTTP_STATUS


def build_failure(protocol: str, error: ServingError) -> bytes:
    """Build the response's body: Seldon's failure message, or V2's error."""
    document: dict[str, Any] = {"error": str(error)}
    if protocol.startswith("seldon"):
        status = {"code": HTTP_STATUS[error.code], "info": str(error), "reason": error.reason, "status": "FAILURE"}
        document = {"status": status}
    return orjson.dumps(document)
