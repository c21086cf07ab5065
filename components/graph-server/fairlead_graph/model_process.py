"""The model process of the graph server: `python -m fairlead_graph.model_process FD`, started by the HTTP process."""

import sys
from typing import Any

import orjson
import uvloop
from fairlead_contracts.graph import FILE, GraphDocument
from fairlead_serving.child import LoadFailed, Reply, Report, run_child
from fairlead_serving.errors import ServingError
from fairlead_serving.messages import JSON

from .errors import InvalidGraph, NodeFailed
from .logs import configure_logs
from .models import ModelFile
from .protocols import failures, seldon, v2
from .service import Service, start_run
from .settings import NodeSettings


class GraphModel:
    """A graph as a model process serves it."""

    _service: Service

    def load(self, config: dict[str, Any], body: bytes, report: Report) -> Reply:
        """Load the graph; return its metadata and the images of its nodes."""
        spec = GraphDocument.parse_json(body, FILE)
        models = {name: ModelFile.from_json(model) for name, model in config["models"].items()}
        try:
            self._service = Service(spec, NodeSettings.from_json(config["settings"]), models, report)
        except InvalidGraph as error:
            raise LoadFailed(error.at, error.problem) from None
        graph = self._service.graph
        images = {node.name: node.node.image for node in graph.root.walk()}
        return {"images": images}, orjson.dumps(v2.describe_model(spec.deployment, graph, config["version"]))

    async def check(self) -> str | None:
        """Return why a node does not respond, or None."""
        try:
            await self._service.check()
        except NodeFailed as error:
            return str(error)
        return None

    async def warm_up(self, attempt: int) -> tuple[str | None, dict[str, Any]]:
        """Send made-up input through the graph."""
        problem, run = await self._service.warm_up(attempt)
        return problem, {"calls": run.calls}

    async def call(self, head: dict[str, Any], body: bytes) -> Reply:
        """Answer a request of one of the protocols."""
        run = start_run(head["seconds"], head.get("puid", ""))
        reply: dict[str, Any] = {"status": 200, "type": JSON}
        try:
            if head["protocol"] == "seldon":
                content, reply["puid"] = await seldon.predict(self._service, body, run)
            else:
                content = await v2.infer(self._service, self._service.spec.deployment, body, run)
        except ServingError as error:
            reply["status"], content = error.status, failures.build_failure(head["protocol"], error)
        return {**reply, "calls": run.calls}, content

    async def close(self) -> None:
        """Close the graph's connections and threads."""
        await self._service.close()


if __name__ == "__main__":
    configure_logs()
    sys.exit(run_child(GraphModel(), uvloop.new_event_loop))
