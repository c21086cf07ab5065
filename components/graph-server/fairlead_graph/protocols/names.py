"""The protocols' names, in the words that both processes use for them, without what speaks them."""

V2, GRPC, TENSORFLOW = "v2", "grpc", "tensorflow"
SELDON, SELDON_FEEDBACK = "seldon", "seldon-feedback"
SELDON_GRPC, SELDON_GRPC_FEEDBACK = "seldon-grpc", "seldon-grpc-feedback"

MONITOR = "monitor"
"""What no client can say."""

FEEDBACK = frozenset((SELDON_FEEDBACK, SELDON_GRPC_FEEDBACK))
"""Those that say how good an earlier answer was, instead of asking for one."""
