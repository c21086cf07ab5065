"""The protocols as the model process speaks them: each decodes a body, runs the graph, and encodes its output."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fairlead_serving.child import Reply

from ..execute import Run
from ..service import Service
from . import grpc_v2, seldon, tensorflow, v2

Codec = Callable[[Service, Mapping[str, Any], bytes, Run], Awaitable[Reply]]
"""Answers a request: the service, what the protocol says outside of the body, the body, and the run.

It returns what the protocol has to say outside of the response's body, and the body. It raises ServingError, or
ContractError for what the caller says in a request's words.
"""

PROTOCOLS: Mapping[str, Codec] = {
    "v2": v2.infer,
    "grpc": grpc_v2.infer,
    "seldon": seldon.predict,
    "seldon-feedback": seldon.send_feedback,
    "tensorflow": tensorflow.predict,
}
