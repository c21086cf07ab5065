"""The protocols' names, in the words that both processes use for them, without what speaks them."""

V2, GRPC, TENSORFLOW = "v2", "grpc", "tensorflow"
SELDON, SELDON_FEEDBACK = "seldon", "seldon-feedback"
SELDON_GRPC, SELDON_GRPC_FEEDBACK = "seldon-grpc", "seldon-grpc-feedback"
SELDON_ROUTE, SELDON_AGGREGATE = "seldon-route", "seldon-aggregate"
SELDON_GRPC_ROUTE, SELDON_GRPC_AGGREGATE = "seldon-grpc-route", "seldon-grpc-aggregate"

MONITOR = "monitor"
"""What no client can say."""

FEEDBACK = frozenset((SELDON_FEEDBACK, SELDON_GRPC_FEEDBACK))
"""Those that say how good an earlier answer was, instead of asking for one."""

OF_ROOT = frozenset((SELDON_ROUTE, SELDON_AGGREGATE, SELDON_GRPC_ROUTE, SELDON_GRPC_AGGREGATE))
"""Those that call the root alone, because the nodes below it are elsewhere: in the graph of Seldon's executor."""
