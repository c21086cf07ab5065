"""Where models run is read from servers that have GPUs, within bounds."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import aiohttp
import pytest
from fairlead.api.model_deployment import ModelDeployment
from fairlead.core.model_deployment.accelerated import DeviceMeasures
from fairlead.core.model_deployment.revisions import build_record, build_revision
from fairlead.core.settings import Settings
from fairlead.core.views import PodView, RevisionView
from fairlead.kube.devices import GpuServers
from fairlead.kube.kinds import Key
from fairlead_contracts.devices import DeviceFacts, NodeDevice

from tests.support.graph_servers import ScriptedServer, serving_graphs
from tests.support.resources import MODEL_DEPLOYMENT, make_deployment
from tests.support.waiting import wait_until

DIGITS = Key("ModelDeployment", "default", "digits")
GPU = {"resources": {"limits": {"nvidia.com/gpu": 1}}}
ACCELERATED = make_deployment(spec__predictors__0__server=GPU)
POD = PodView("digits-1", "uid-1", phase="Running", ip="127.0.0.1", ready=True, predictor="main")
FACTS = DeviceFacts(nodes=(NodeDevice(node="classifier", provider="CPU", problem="no driver"),))


@dataclass
class Scene:
    servers: GpuServers
    graph: ScriptedServer

    async def read(
        self, *pods: PodView, of: ModelDeployment = ACCELERATED, revisions: tuple[RevisionView, ...] = ()
    ) -> DeviceMeasures:
        await wait_until(lambda: self.servers.observe(DIGITS, of, pods, revisions) is not None, 30)
        found = self.servers.observe(DIGITS, of, pods, revisions)
        assert found is not None
        return found


@asynccontextmanager
async def asking() -> AsyncIterator[Scene]:
    with serving_graphs("127.0.0.1", 0, lambda: b"") as graph:
        graph.devices = FACTS.model_dump_json(by_alias=True).encode()
        async with aiohttp.ClientSession() as http:
            yield Scene(GpuServers(http, lambda _: None, graph.server_address[1]), graph)


async def test_all_servers_with_gpus_are_asked() -> None:
    async with asking() as scene:
        found = await scene.read(POD, replace(POD, uid="uid-2"))
        assert found == DeviceMeasures(2, 2, 2, 2, "no driver (node classifier)")


async def test_nobody_is_asked_that_has_no_gpu_or_is_not_ready() -> None:
    (main,) = MODEL_DEPLOYMENT["spec"]["predictors"]
    both = make_deployment(
        spec__predictors=[{**main, "traffic": 50, "server": GPU}, {**main, "name": "other", "traffic": 50}]
    )
    others = [{"ready": False}, {"deleting": True}, {"ip": None}, {"predictor": "other"}, {"revision": "bbbbbbbb"}]
    async with asking() as scene:
        assert scene.servers.observe(DIGITS, make_deployment(), (POD,)) is None
        found = await scene.read(*(replace(POD, **other) for other in others), of=both)  # type: ignore[arg-type]
        assert found == DeviceMeasures()


async def test_of_a_rollout_the_revisions_are_asked_that_have_gpus() -> None:
    revisions = [build_revision(each.spec.predictors[0], {}, Settings()) for each in (ACCELERATED, make_deployment())]
    records = [build_record(ACCELERATED, each, ()) for each in revisions]
    views = tuple(RevisionView(each["metadata"]["name"], "uid", 1, json.dumps(each["data"])) for each in records)
    pods = [replace(POD, uid=each.name, revision=each.name) for each in revisions]
    async with asking() as scene:
        assert (await scene.read(*pods, revisions=views)).servers == 1


async def test_other_pods_are_asked_anew() -> None:
    async with asking() as scene:
        assert (await scene.read(POD)).fallen == 1
        scene.graph.devices = DeviceFacts().model_dump_json(by_alias=True).encode()
        assert (await scene.read(POD)).fallen == 1
        assert (await scene.read(replace(POD, uid="uid-2"))).fallen == 0


@pytest.mark.parametrize(
    "answer",
    [b"[]", b"{", b"\xff" * 100, b'{"nodes": [{}]}', b'{"nodes": [{"node": "a", "provider": "TPU"}]}',
     b" " * (2 << 20), None],
    ids=["list", "cut", "binary", "incomplete", "other", "huge", "404"],
)  # fmt: skip
async def test_nonsense_of_a_server_is_a_finding(answer: bytes | None) -> None:
    async with asking() as scene:
        scene.graph.devices = answer
        found = await scene.read(POD)
        assert (found.servers, found.answered) == (1, 0)
        assert found.problem.startswith("A server does not say where its models run: ")
        assert len(found.problem) <= 256


async def test_no_more_servers_are_read_than_a_bound() -> None:
    async with asking() as scene:
        found = await scene.read(*(replace(POD, uid=f"uid-{index}") for index in range(100)))
        assert found.servers == found.answered == 32
