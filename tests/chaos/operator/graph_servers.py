"""The graph servers of simulated pods of revisions, and the requests of clients that they split.

A server reads what a real one has in its folders (graph, key, document), accepts signed documents by their generation,
and counts what its routes answer in a window. Requests arrive evenly at the pods that the deployment's Service selects.
Whether a route answers well depends on the model of the pods that are behind its address at that time.
"""

import asyncio
import base64
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from fairlead.core import names
from fairlead.core.model_deployment.traffic_children import KEY
from fairlead.kube.client import KubeClient
from fairlead.kube.kinds import CONFIG_MAP, MODEL_DEPLOYMENT, SECRET, Kind
from fairlead_contracts.graph import FILE as GRAPH_FILE
from fairlead_contracts.graph import GraphDocument
from fairlead_contracts.traffic import FILE, PATH, SIGNATURE, TrafficDocument, is_signed, parse_key

from tests.chaos.operator.graph_server import GraphServer
from tests.chaos.operator.network import Gone, Network

Object = dict[str, Any]
Execute = Callable[[], Awaitable[web.Response]]
Disturb = Callable[[web.Request, str, str, Execute], Awaitable[web.StreamResponse]]
"""Executes a write for a namespace, or injects a fault: of a request, its namespace and what it is called."""

BAD = "bad"
"""The model whose answers fail often and differ always."""
_BAD_SHARE = 0.4
_REQUESTS_PER_SECOND = 100.0
"""Of a deployment."""
_TICK_SECONDS = 0.2
_MISSED_TICKS = 3
"""The watches of pods and Services may disagree for a moment."""


class GraphServers:
    """The graph servers of all pods with a revision. Use `run` as a task."""

    def __init__(self, kube: KubeClient, network: Network) -> None:
        self._kube, self._network = kube, network
        self.disturb: Disturb = _execute
        self.accepted: dict[str, list[TrafficDocument]] = {}
        """The documents of the operator that servers of a namespace have accepted."""
        self.problems: dict[str, list[str]] = {}
        """By namespace: what happened to clients that must not happen."""
        self._servers: dict[str, GraphServer] = {}
        self._runners: dict[str, web.AppRunner] = {}
        self._count = itertools.count()
        self._missed: dict[str, int] = {}
        """For deployments that have served: for how many ticks their Service has selected no ready pod."""

    async def run(self) -> None:
        """Let clients send requests until cancelled."""
        before = time.monotonic()
        try:
            while True:
                await asyncio.sleep(_TICK_SECONDS)
                now = time.monotonic()
                for service in self._network.list_entrances():
                    await self._receive(service, now - before)
                before = now
        finally:
            for runner in self._runners.values():
                await runner.cleanup()

    async def start(self, pod: Object) -> str | None:
        """Start the graph server of a pod once its files exist; return its address, or None without a revision."""
        container = next(item for item in pod["spec"]["containers"] if item["name"] == names.GRAPH_SERVER)
        revision = next((item["value"] for item in container["env"] if item["name"] == "FAIRLEAD_REVISION"), None)
        if revision is None:
            return None
        server = await self._read_files(pod, revision)
        number, uid = next(self._count), pod["metadata"]["uid"]
        address = f"127.202.{number // 250}.{2 + number % 250}"
        self._servers[uid], self._runners[uid] = server, await self._serve(server, address)
        if uid not in self._network.pods:
            await self.stop(uid)
            raise Gone
        return address

    async def stop(self, uid: str) -> None:
        """End the graph server of a pod, if it has one."""
        self._servers.pop(uid, None)
        if runner := self._runners.pop(uid, None):
            await runner.cleanup()

    def list_servers(self, namespace: str) -> list[GraphServer]:
        """Return the servers of a namespace."""
        return [server for server in self._servers.values() if server.namespace == namespace]

    async def _read_files(self, pod: Object, revision: str) -> GraphServer:
        """Wait for the files of a pod as a kubelet does, but for the optional one, and return its server."""
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        graph = await self._wait_for(CONFIG_MAP, volumes["fairlead-graph"]["configMap"]["name"], pod)
        root = GraphDocument.parse_json(graph["data"][GRAPH_FILE], GRAPH_FILE).graph
        key = _read_key(await self._wait_for(SECRET, volumes["fairlead-key"]["secret"]["secretName"], pod))
        server = GraphServer(pod, revision, urlsplit(root.model_uri or "").path.rpartition("/")[2], key)
        traffic = await self._find(CONFIG_MAP, volumes["fairlead-traffic"]["configMap"]["name"], server.namespace)
        if traffic and server.accept(TrafficDocument.parse_json(traffic["data"][FILE], FILE)):
            server.provisional = True
        return server

    async def _wait_for(self, kind: Kind, name: str, pod: Object) -> Object:
        while pod["metadata"]["uid"] in self._network.pods:
            if found := await self._find(kind, name, pod["metadata"]["namespace"]):
                return found
            await asyncio.sleep(_TICK_SECONDS)
        raise Gone

    async def _find(self, kind: Kind, name: str, namespace: str) -> Object | None:
        return await self._kube.find(kind, name, namespace)

    async def _serve(self, server: GraphServer, address: str) -> web.AppRunner:
        async def get(_: web.Request) -> web.Response:
            return web.json_response(server.to_facts().to_json())

        async def put(request: web.Request) -> web.StreamResponse:
            body, signature = await request.read(), request.headers.get(SIGNATURE, "")
            what = f"PUT {PATH} of {server.model}"
            return await self.disturb(request, server.namespace, what, lambda: self._put(server, body, signature))

        app = web.Application()
        app.router.add_get(PATH, get)
        app.router.add_put(PATH, put)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, address, names.SERVING_PORT).start()
        return runner

    async def _put(self, server: GraphServer, body: bytes, signature: str) -> web.Response:
        if not is_signed(server.key, body, signature):
            secret = await self._find(SECRET, f"{server.pod['metadata']['labels'][names.DEPLOYMENT]}-traffic",
                                      server.namespace)  # fmt: skip
            server.key = _read_key(secret) if secret else server.key
            if not is_signed(server.key, body, signature):
                return web.json_response({"error": "expected the signature of the body"}, status=403)
        document = TrafficDocument.parse_json(body, FILE)
        if not server.accept(document):
            return web.json_response({"error": "generation or revision", "generation": server.generation}, status=409)
        self.accepted.setdefault(server.namespace, []).append(document)
        return web.json_response(server.to_facts().to_json())

    async def _receive(self, service: Object, seconds: float) -> None:
        """Let the pods behind a deployment's Service answer or forward the requests of some seconds."""
        uid, pods = service["metadata"]["uid"], self._network.find_selected(service)
        if pods:
            self._missed[uid] = 0
        elif uid in self._missed:
            self._missed[uid] += 1
            if self._missed[uid] == _MISSED_TICKS:
                await self._note(service, "the deployment's Service selected no ready pod")
        for pod in pods:
            if server := self._servers.get(pod["metadata"]["uid"]):
                for gone in self._forward(server, seconds * _REQUESTS_PER_SECOND / len(pods)):
                    await self._note(service, f"requests were forwarded to the pods of {gone}, which are gone")

    def _forward(self, sender: GraphServer, requests: float) -> Iterator[str]:
        """Let routes answer their share; yield those without pods."""
        for route in sender.document.routes if sender.document else ():
            tally = sender.tallies[route.name]
            pods = self._network.find_behind(route.host)
            models = {server.model for pod in pods if (server := self._servers.get(pod["metadata"]["uid"]))}
            live = requests * route.percent / 100
            copies = (requests - live) * route.mirror_percent / 100
            tally.requests, tally.copies = tally.requests + live, tally.copies + copies
            share = (_BAD_SHARE if BAD in models else 0.0) if models else 1.0
            tally.bad, tally.bad_copies = tally.bad + live * share, tally.bad_copies + copies * share
            tally.missed = 0 if models else tally.missed + 1
            if tally.missed == _MISSED_TICKS:
                yield route.name

    async def _note(self, service: Object, problem: str) -> None:
        """Note what happened to clients, unless the deployment was deleted: its children go in any order."""
        meta = service["metadata"]
        if await self._kube.find(MODEL_DEPLOYMENT, meta["name"], meta["namespace"]):
            self.problems.setdefault(meta["namespace"], []).append(problem)


async def _execute(_: web.Request, __: str, ___: str, execute: Execute) -> web.StreamResponse:
    return await execute()


def _read_key(secret: Object) -> bytes:
    return parse_key(base64.b64decode(secret["data"][KEY]), KEY)
