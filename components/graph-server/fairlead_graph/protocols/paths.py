"""The paths of the protocols over HTTP."""

from .names import SELDON, SELDON_AGGREGATE, SELDON_FEEDBACK, SELDON_ROUTE, TENSORFLOW, V2

_SELDON = {
    f"/api/{version}/{path}": protocol
    for version in ("v1.0", "v0.1")
    for path, protocol in (("predictions", SELDON), ("feedback", SELDON_FEEDBACK))
} | {
    "/predict": SELDON, "/transform-input": SELDON, "/transform-output": SELDON, "/send-feedback": SELDON_FEEDBACK,
    "/route": SELDON_ROUTE, "/aggregate": SELDON_AGGREGATE,
}  # fmt: skip
"""The protocol of each of Seldon's paths: those for clients, and those of a microservice in another graph."""
READY = ("/v2/health/ready", "/health/ping", "/health/status")
"""V2's path of readiness, and those of a Seldon microservice."""
TENSORFLOW_MODELS = "/v1/models/"


def find_protocol(path: str) -> str:
    """Return the protocol of a path; V2 if it is none of the others'."""
    return _SELDON.get(path) or (TENSORFLOW if path.startswith(TENSORFLOW_MODELS) else V2)
