"""The HTTP side of the look-up: the Open Inference Protocol v2 for one set of features."""

import logging
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fairlead_serving.data_plane import DataPlane
from fairlead_serving.limits import MIB, Limits
from fairlead_serving.one_model import serve_model
from fairlead_serving.open_inference_app import App
from fairlead_serving.processes import ModelProcesses
from fairlead_serving.server import Server
from fairlead_serving.supervisor import CannotServe

from . import __version__
from .definitions import FILE, read_definitions
from .errors import Unusable
from .places import Place

_log = logging.getLogger(__name__)
_COMMAND = (sys.executable, "-m", "fairlead_feature_store.model_process")
DEFAULTS = Limits(max_body_bytes=MIB, max_response_bytes=4 * MIB)


@dataclass(frozen=True)
class Request:
    """What to serve."""

    definitions: Place
    set_: str
    name: str
    """The name of the model that the set is to its clients."""
    store: dict[str, Any]
    now: datetime | None
    max_rows: int


async def serve(request: Request, address: str, port: int, limits: Limits) -> None:
    """Serve look-ups until SIGTERM; raise Unusable or ArtifactError if it is not possible."""
    config, digest = _build_config(request, limits)
    plane = DataPlane(request.name, digest, limits.max_in_flight)
    server = Server(App(plane, "fairlead-feature-store", __version__), limits)
    _log.info("serving %s on http://%s:%d", request.name, address, port)
    try:
        await serve_model(plane, ModelProcesses(_COMMAND, config, b"", limits), server, address, port)
    except CannotServe as error:
        raise Unusable(str(error)) from None


def _build_config(request: Request, limits: Limits) -> tuple[dict[str, Any], str]:
    """Return what the process that looks up has to know, and the digest of the definitions."""
    with tempfile.TemporaryDirectory() as folder:
        digest = request.definitions.fetch(Path(folder, "definitions"), "definitions", "code").digest
        definitions = read_definitions(Path(folder, "definitions", FILE))
    definitions.select(request.set_)
    return {
        "definitions": definitions.to_json(), "digest": digest, "set": request.set_, "name": request.name,
        "store": request.store, "now": request.now.isoformat() if request.now else None,
        "max_rows": request.max_rows, "limit": limits.max_response_bytes,
    }, digest  # fmt: skip
