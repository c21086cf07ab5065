"""The protocols as the model process speaks them: each decodes a body, runs the graph, and encodes its output."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fairlead_serving.child import Reply

from ..execute import Run
from ..service import Service
from . import grpc_v2, monitor, names, seldon, seldon_root, tensorflow, v2

Codec = Callable[[Service, Mapping[str, Any], bytes, Run], Awaitable[Reply]]
"""Answers a request: the service, what the protocol says outside of the body, the body, and the run.

It returns what the protocol has to say outside of the response's body, and the body. It raises ServingError, or
ContractError for what the caller says in a request's words.
"""

PROTOCOLS: Mapping[str, Codec] = {
    names.V2: v2.infer,
    names.GRPC: grpc_v2.infer,
    names.SELDON: seldon.predict,
    names.SELDON_FEEDBACK: seldon.send_feedback,
    names.SELDON_GRPC: seldon.predict_proto,
    names.SELDON_GRPC_FEEDBACK: seldon.send_feedback_proto,
    names.SELDON_ROUTE: seldon_root.route,
    names.SELDON_AGGREGATE: seldon_root.aggregate,
    names.SELDON_GRPC_ROUTE: seldon_root.route_proto,
    names.SELDON_GRPC_AGGREGATE: seldon_root.aggregate_proto,
    names.TENSORFLOW: tensorflow.predict,
    names.MONITOR: monitor.read,
}
