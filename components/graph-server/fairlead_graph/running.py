"""The models of a server, from the fetch to the end: in a process of their own, or in the serving one."""

import asyncio
import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead_contracts.graph import GraphDocument
from fairlead_serving.data_plane import DataPlane
from fairlead_serving.local import LocalModels
from fairlead_serving.parent import Past
from fairlead_serving.server import Server
from fairlead_serving.supervisor import CannotServe, ModelProcess

from .errors import InvalidGraph
from .metrics import Metrics
from .models import ModelFile, fetch_models
from .settings import Settings
from .state import StateFile

if TYPE_CHECKING:
    from .model_process import GraphModel

_COMMAND = (sys.executable, "-m", "fairlead_graph.model_process")
_INDEX = "models.json"


@dataclass(frozen=True)
class Parts:
    """What the models are run with."""

    spec: GraphDocument
    settings: Settings
    plane: DataPlane
    metrics: Metrics
    folder: Path
    """The folder that keeps files for the process that comes after this one."""
    past: Past


async def run_models(parts: Parts, server: Server) -> None:
    """Fetch the models, and keep them running; raise InvalidGraph."""
    try:
        models = await asyncio.to_thread(_fetch, parts.spec, parts.folder)
        config = {
            "settings": parts.settings.nodes.to_json(),
            "models": {name: model.to_json() for name, model in models.items()},
            "version": parts.plane.version,
        }
        with ExitStack() as stack:
            state = StateFile(Path(parts.settings.nodes.state_folder or parts.folder), parts.plane.version)
            stack.callback(state.write)
            await _run(parts, config, state)
    except CannotServe as error:
        raise InvalidGraph(error.at, error.problem) from None
    finally:
        # An error that ends this task is raised once the server has stopped.
        server.stop()


async def _run(parts: Parts, config: dict[str, Any], state: StateFile) -> None:
    """Run the models in a process of their own, and in this one from when they are known to be fast."""
    plane, limits, body = parts.plane, parts.settings.limits, parts.spec.to_text().encode()
    local: LocalModels | None = None

    def decide(head: dict[str, Any]) -> None:
        nonlocal local
        plane.observe_reply(head)
        if head.get("fast") and not parts.past.isolated and process.facts is not None:
            local = LocalModels(_make_model, config, body, limits, process.facts, parts.past.board)
            local.keep_state(state.read(), state.keep)
            plane.process = local
            process.close()

    process = ModelProcess(_COMMAND, config, body, limits, parts.metrics.observe_restart, decide)
    process.keep_state(state.read(), state.keep)
    plane.process = process
    await process.run()
    if local is not None:
        plane.starts = not parts.spec.batching
        await local.run()


def _make_model() -> "GraphModel":
    from .model_process import GraphModel  # numpy and ONNX Runtime, for models that run in this process alone

    return GraphModel()


def _fetch(spec: GraphDocument, folder: Path) -> dict[str, ModelFile]:
    """Return the models by node; those that a process before this one has fetched are not fetched again."""
    index = folder / _INDEX
    if index.exists():
        return {name: ModelFile.from_json(model) for name, model in json.loads(index.read_bytes()).items()}
    models = fetch_models(spec.graph, Path(tempfile.mkdtemp(dir=folder)))  # another process may have left half of one
    index.write_text(json.dumps({name: model.to_json() for name, model in models.items()}))
    return models
