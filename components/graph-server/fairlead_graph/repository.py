"""The model repository extension of the Open Inference Protocol: what is served, and that clients do not change it."""

import re

from fairlead_serving.bodies import parse_json
from fairlead_serving.data_plane import DataPlane
from fairlead_serving.errors import BadRequest, Code, ServingError, UnknownModel

EXTENSION = "model_repository"
PREFIX = "/v2/repository/"
INDEX = f"{PREFIX}index"
_MODEL_ACTION = re.compile(f"{PREFIX}models/[^/]+/(load|unload)")
_MAX_BYTES = 4096
"""Maximum size of a body, which is parsed between other requests."""


class ModelsAreFixed(ServingError):
    """A client wants to load or unload a model.

    Triton's word for it is UNAVAILABLE, which here asks clients to try again.
    """

    code = Code.INVALID
    reason = "MODELS_ARE_FIXED"

    def __init__(self, plane: DataPlane) -> None:
        owner = f"the ModelDeployment {plane.model} says what this server serves"
        super().__init__(f"explicit model load / unload is not allowed: {owner}")


def answer_repository(plane: DataPlane, path: str, body: bytes) -> list[dict[str, str]]:
    """Answer a POST to a path below PREFIX; raise ServingError."""
    if path == INDEX:
        return list_models(plane, _read_ready(body))
    if _MODEL_ACTION.fullmatch(path):
        raise ModelsAreFixed(plane)
    raise UnknownModel(f"path {path}: not found for POST")


def list_models(plane: DataPlane, ready: bool) -> list[dict[str, str]]:
    """Return the deployment's graph and its state, as the one model that there is; with `ready`, only if it is."""
    reason = plane.unready
    if ready and reason is not None:
        return []
    state = "READY" if reason is None else "UNAVAILABLE"
    return [{"name": plane.model, "version": plane.version, "state": state, "reason": reason or ""}]


def _read_ready(body: bytes) -> bool:
    """Return whether only models that are ready are to be listed."""
    if not body:
        return False
    if len(body) > _MAX_BYTES:
        raise BadRequest(f"body: got {len(body)} bytes, expected at most {_MAX_BYTES}")
    document = parse_json(body)
    ready = document.get("ready", False) if isinstance(document, dict) else None
    if not isinstance(ready, bool):
        raise BadRequest(f"body: got {body[:60]!r}, expected an object with `ready`, true or false, or nothing")
    return ready
