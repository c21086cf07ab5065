"""What graph servers do with their requests is read from each, and set again where it differs from the status."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from fairlead.api.model_deployment import ModelDeployment
from fairlead.core.model_deployment.observed import ObservedTraffic
from fairlead.core.views import PodView
from fairlead.kube.kinds import Key
from fairlead.kube.traffic import TrafficServers

from tests.support.graph_servers import ScriptedServer, serving_graphs
from tests.support.resources import Object, make_deployment
from tests.support.rollouts import POLICY
from tests.support.scripted_api import ScriptedApi, scripted_client, status
from tests.support.waiting import wait_until

DIGITS = Key("ModelDeployment", "default", "digits")
KEY, OTHER = b"k" * 32, b"o" * 32
POD = PodView("digits-1", "uid-1", phase="Running", ip="127.0.0.1", ready=True, revision="aaaaaaaa")


def secret(key: bytes = KEY, owner: str = "4d3c2b1a-0000-4000-8000-000000000000") -> Object:
    owners = [{"controller": True, "uid": owner, "kind": "ModelDeployment", "apiVersion": "x", "name": "digits"}]
    return {
        "metadata": {"name": "digits-traffic", "ownerReferences": owners},
        "data": {"key": base64.b64encode(key.hex().encode()).decode()},
    }


def deployment(weight: int = 10, generation: int = 3, window: int = 2) -> ModelDeployment:
    rollout = {"phase": "Measuring", "weight": weight, "generation": generation, "window": window}
    rollout["address"] = "10.1.1.1"
    known = {"stableRevision": "aaaaaaaa", "candidateRevision": "bbbbbbbb", "rollout": rollout}
    return make_deployment(known, spec__rollout=POLICY)


@dataclass
class Scene:
    """Servers that are asked."""

    servers: TrafficServers
    graph: ScriptedServer
    api: ScriptedApi

    def observe(self, *pods: PodView, of: ModelDeployment | None = None) -> ObservedTraffic:
        return self.servers.observe(DIGITS, of or deployment(), pods or (POD,))

    async def wait(self, *pods: PodView, of: ModelDeployment | None = None) -> ObservedTraffic:
        def seen() -> bool:
            found = self.observe(*pods, of=of)
            return bool(found.servers) or found.key_missing

        await wait_until(seen, 30)
        return self.observe(*pods, of=of)


@asynccontextmanager
async def asking(*secrets: Any, key: bytes = KEY, key_seconds: float = 60.0) -> AsyncIterator[Scene]:
    api = ScriptedApi(lists=list(secrets) or [secret()])
    with serving_graphs("127.0.0.1", 0, lambda: key) as graph:
        graph.revision = "aaaaaaaa"
        async with scripted_client(api) as kube, aiohttp.ClientSession() as http:
            yield Scene(TrafficServers(http, kube, lambda _: None, graph.server_address[1], key_seconds), graph, api)


async def test_a_server_is_told_what_the_status_says_and_then_only_read() -> None:
    async with asking() as scene:
        found = await scene.wait()
        assert found.servers[0].facts == scene.graph.facts()
        document = scene.graph.document
        assert document is not None
        assert (document.generation, document.window) == (3, 2)
        (route,) = document.routes
        assert (route.name, route.host, route.percent) == ("bbbbbbbb", "10.1.1.1", 10)
        found = await scene.wait(of=deployment(weight=50, generation=4, window=3))
        assert found.servers[0].facts is not None
        assert (found.servers[0].facts.generation, scene.graph.document.routes[0].percent) == (4, 50)  # type: ignore[union-attr]
    # the key is read once a minute
    assert [path for _, path, _ in scene.api.requests] == ["/api/v1/namespaces/default/secrets/digits-traffic"]


async def test_a_server_that_has_forgotten_is_told_again() -> None:
    async with asking() as scene:
        await scene.wait()
        scene.graph.document = None
        await wait_until(lambda: bool(scene.observe()) and scene.graph.document is not None, 30)


async def test_a_server_of_a_newer_generation_refuses_and_does_not_count() -> None:
    async with asking() as scene:
        await scene.wait(of=deployment(generation=9))
        (reading,) = (await scene.wait()).servers
    assert reading.facts is None
    assert "got status 409 for generation 3" in reading.error
    assert scene.graph.document is not None
    assert scene.graph.document.generation == 9


async def test_an_operator_that_no_longer_leads_tells_nobody() -> None:
    async with asking() as scene:
        scene.servers._kube.may_write = lambda: False
        (reading,) = (await scene.wait()).servers
        assert "lease" in reading.error
        assert scene.graph.document is None


async def test_a_key_that_is_not_accepted_is_read_again() -> None:
    async with asking(secret(OTHER), secret()) as scene:
        (reading,) = (await scene.wait()).servers
        assert reading.facts is not None
        assert (scene.graph.denied, reading.facts.generation) == (1, 3)


async def test_a_key_that_is_deleted_is_noticed_although_nobody_has_to_be_told_anything() -> None:
    async with asking(secret(), secret(), status(404, "NotFound"), key_seconds=0.0) as scene:
        first = await scene.wait()
        assert (first.key_missing, scene.graph.denied) == (False, 0)
        await wait_until(lambda: scene.observe().key_missing, 30)


@pytest.mark.parametrize("missing", [status(404, "NotFound"), secret(owner="another owner's")])
async def test_a_key_that_does_not_exist_or_is_not_ours_is_reported(missing: Any) -> None:
    async with asking(missing) as scene:
        assert (await scene.wait()).key_missing
        assert scene.graph.document is None


@pytest.mark.parametrize(
    "answer", [b"[]", b"{}", b"[" * 9999, b'{"revision": "' + b"a" * 300_000 + b'"}', b"\xff", b'{"generation": -1}']
)
async def test_what_a_server_says_is_parsed_within_bounds(answer: bytes) -> None:
    async with asking() as scene:
        scene.graph.answer = answer
        (reading,) = (await scene.wait()).servers
    assert (reading.pod, reading.facts) == ("uid-1", None)
    assert 0 < len(reading.error) <= 256


@pytest.mark.parametrize(
    "changes", [{"ready": False}, {"ip": None}, {"revision": "bbbbbbbb"}, {"deleting": True}], ids=str
)
async def test_only_ready_servers_of_the_stable_revision_are_asked(changes: dict[str, Any]) -> None:
    async with asking() as scene:
        fields = {name: getattr(POD, name) for name in ("phase", "ip", "ready", "revision")} | changes
        other = PodView("digits-2", "uid-2", **fields)
        assert [reading.pod for reading in (await scene.wait(POD, other)).servers] == ["uid-1"]


async def test_a_deployment_without_revisions_has_no_servers_to_ask() -> None:
    async with asking() as scene:
        assert scene.observe(of=make_deployment()) == ObservedTraffic()
        await asyncio.sleep(0)
        assert scene.api.requests == []
