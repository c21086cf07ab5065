"""The model process of the graph server: `python -m fairlead_graph.model_process FD`, started by the HTTP process."""

import sys
from typing import Any

import orjson
import uvloop
from fairlead_contracts.errors import ContractError
from fairlead_contracts.graph import FILE, GraphDocument
from fairlead_contracts.inference import AnswerError
from fairlead_serving.child import LoadFailed, Reply, Report, run_child
from fairlead_serving.errors import Code, ServingError, Unprocessable

from .compressed import Unpacker, pack
from .errors import InvalidGraph, NodeFailed, RequestRejected
from .execute import Run
from .graph import Graph
from .logs import configure_logs
from .models import ModelFile
from .protocols.codecs import PROTOCOLS
from .protocols.names import FEEDBACK
from .protocols.v2 import describe_devices, describe_model
from .service import Service, start_run
from .settings import NodeSettings


class GraphModel:
    """A graph as a model process serves it."""

    _service: Service
    _unpacker: Unpacker
    _described: Graph
    _was_ready = False

    def load(self, config: dict[str, Any], body: bytes, report: Report) -> Reply:
        """Load the graph; return its metadata and the images of its nodes."""
        spec = GraphDocument.parse_json(body, FILE)
        models = {name: ModelFile.from_json(model) for name, model in config["models"].items()}
        settings = NodeSettings.from_json(config["settings"])
        self._was_ready = bool(config["warm"])
        self._unpacker = Unpacker(settings.max_body_bytes)
        try:
            state, places = config.get("state"), config["places"]
            self._service = Service(spec, config["version"], settings, models, report, state, places)
        except InvalidGraph as error:
            raise LoadFailed(error.at, error.problem) from None
        return self._describe()

    def changed(self) -> Reply | None:
        """Return the metadata and images again if remote nodes have said something new."""
        if self._service.graph is self._described:
            return None
        return self._describe()

    def _describe(self) -> Reply:
        service = self._service
        graph = self._described = service.graph
        images = {node.name: node.node.image for node in graph.root.walk()}
        devices = service.devices
        metadata = describe_model(service.spec.deployment, graph, service.version, describe_devices(devices))
        facts = {"images": images, "devices": devices.to_json(), "places": service.places.names}
        return facts, orjson.dumps(metadata)

    async def check(self) -> str | None:
        """Return why a node does not respond, or None; raise LoadFailed if the graph turns out to be invalid."""
        try:
            await self._service.check()
        except NodeFailed as error:
            return str(error)
        except InvalidGraph as error:
            if not self._was_ready:
                raise LoadFailed(error.at, error.problem) from None
            # what has served may serve again, once a server elsewhere is what it was
            return str(error)
        self._was_ready = True
        return None

    async def warm_up(self, attempt: int) -> tuple[str | None, dict[str, Any]]:
        """Send made-up input through the graph."""
        problem, run = await self._service.warm_up(attempt)
        return problem, {"calls": run.calls}

    async def call(self, head: dict[str, Any], body: bytes) -> Reply:
        """Answer a request in the words of its protocol."""
        run = start_run(head["seconds"], head.get("puid", ""))
        try:
            reply, content = await self._answer(head, body, run)
        except ServingError as error:
            reply, content = {"code": error.code, "reason": error.reason, "error": str(error)}, b""
        if head["protocol"] in FEEDBACK:
            reply["state"] = self._service.state()
        return {"code": Code.OK, **reply, "calls": run.calls}, content

    async def _answer(self, head: dict[str, Any], body: bytes, run: Run) -> Reply:
        """Answer a request; raise ServingError."""
        answer = PROTOCOLS[head["protocol"]]
        encoding = head.get("content_encoding", "")
        try:
            if not encoding:  # without what opening costs, which is as much as parsing a small request
                reply, content = await answer(self._service, head, body, run)
            else:
                async with self._unpacker.open(body, encoding, run.context.deadline) as unpacked:
                    reply, content = await answer(self._service, head, unpacked, run)
        except AnswerError as error:
            raise Unprocessable(str(error)) from None
        except ContractError as error:
            raise RequestRejected.from_contract(error) from None
        content, encoding = await pack(content, head.get("accept_encoding", ""))
        return {**reply, "content_encoding": encoding}, content

    def restore(self, state: Any) -> None:
        """Let the routers go on from what those of another process have learned."""
        self._service.restore(state)

    async def close(self) -> None:
        """Close the graph's connections and threads."""
        await self._service.close()


if __name__ == "__main__":
    configure_logs()
    sys.exit(run_child(GraphModel(), uvloop.new_event_loop))
