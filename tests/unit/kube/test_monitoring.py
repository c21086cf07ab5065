"""What graph servers have counted is read from those that answer clients, within bounds, and added up."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import aiohttp
import pytest
from fairlead.api.model_deployment import ModelDeployment, Predictor
from fairlead.core.model_deployment.drift import DriftMeasures
from fairlead.core.model_deployment.revisions import build_record, build_revision
from fairlead.core.settings import Settings
from fairlead.core.views import PodView, RevisionView
from fairlead.kube.kinds import Key
from fairlead.kube.monitoring import MonitoredServers
from fairlead_contracts.monitor import ColumnFacts, MonitorFacts, NodeFacts, TensorFacts

from tests.support.graph_servers import ScriptedServer, serving_graphs
from tests.support.resources import MODEL_DEPLOYMENT, make_deployment
from tests.support.waiting import wait_until

DIGITS = Key("ModelDeployment", "default", "digits")
DIGEST = "sha256:" + "0" * 64
DRIFT = {"windowSeconds": 600, "minRows": 100, "maxPsi": 0.2}
MONITORED = make_deployment(spec__monitor={"drift": DRIFT})
POD = PodView("digits-1", "uid-1", phase="Running", ip="127.0.0.1", ready=True, predictor="main")


def encode(*counts: int, of: str = "classifier") -> bytes:
    column = ColumnFacts(index=0, reference=(0, 500, 500, 0, 0), counts=counts)
    tensor = TensorFacts(side="input", name="x", columns=(column,))
    node = NodeFacts(node=of, digest=DIGEST, reference_rows=1000, rows=sum(counts), tensors=(tensor,))
    return MonitorFacts(predictor="main", nodes=(node,)).model_dump_json(by_alias=True).encode()


@dataclass
class Scene:
    servers: MonitoredServers
    graph: ScriptedServer

    async def read(
        self, *pods: PodView, of: ModelDeployment = MONITORED, revisions: tuple[RevisionView, ...] = ()
    ) -> DriftMeasures:
        await wait_until(lambda: self.servers.observe(DIGITS, of, pods, revisions) is not None, 30)
        found = self.servers.observe(DIGITS, of, pods, revisions)
        assert found is not None
        return found


@asynccontextmanager
async def asking() -> AsyncIterator[Scene]:
    with serving_graphs("127.0.0.1", 0, lambda: b"") as graph:
        async with aiohttp.ClientSession() as http:
            yield Scene(MonitoredServers(http, lambda _: None, graph.server_address[1]), graph)


async def test_the_counts_of_all_servers_are_added_up() -> None:
    async with asking() as scene:
        scene.graph.monitor = encode(0, 50, 50, 0, 0)
        found = await scene.read(POD, replace(POD, uid="uid-2"))
        assert (found.servers, found.answered, found.rows, found.columns, found.exceeded) == (2, 2, 200, 1, 0)
        scene.servers.forget(DIGITS)
        scene.graph.monitor = encode(0, 0, 100, 0, 0)
        found = await scene.read(POD)
        assert (found.rows, found.exceeded, found.worst[0].node) == (100, 1, "classifier")


async def test_nobody_is_asked_that_is_not_monitored_or_answers_no_client() -> None:
    others = [{"ready": False}, {"deleting": True}, {"ip": None}, {"predictor": "dark"}, {"revision": "bbbbbbbb"}]
    async with asking() as scene:
        scene.graph.monitor = encode(0, 50, 50, 0, 0)
        assert scene.servers.observe(DIGITS, make_deployment(), (POD,)) is None
        found = await scene.read(*(replace(POD, **other) for other in others))  # type: ignore[arg-type]
        assert (found.servers, found.answered) == (0, 0)


async def test_of_a_rollout_the_stable_revision_is_asked() -> None:
    known = {"stableRevision": "aaaaaaaa", "candidateRevision": "bbbbbbbb"}
    deployment = make_deployment(known, spec__monitor={"drift": DRIFT})
    stable = [replace(POD, uid=f"s{index}", revision="aaaaaaaa") for index in range(2)]
    async with asking() as scene:
        scene.graph.monitor = encode(0, 50, 50, 0, 0)
        found = await scene.read(*stable, replace(POD, revision="bbbbbbbb"), of=deployment)
        assert (found.servers, found.answered) == (2, 2)


async def test_only_models_of_the_spec_count_whatever_a_server_names() -> None:
    async with asking() as scene:
        for node, columns in (("classifier", 1), ("other", 0), ("scaler", 0)):
            scene.servers.forget(DIGITS)
            scene.graph.monitor = encode(0, 50, 50, 0, 0, of=node)
            found = await scene.read(POD)
            assert (found.answered, found.columns) == (1, columns)


async def test_of_a_rollout_that_renames_a_model_the_stable_name_counts() -> None:
    (main,) = MODEL_DEPLOYMENT["spec"]["predictors"]
    old = Predictor.model_validate({**main, "graph": {"name": "old", "modelUri": "s3://models/digits/v0"}})
    stable = build_revision(old, {}, Settings())
    record = build_record(MONITORED, stable, ())
    view = RevisionView(record["metadata"]["name"], "uid", 1, json.dumps(record["data"]))
    deployment = make_deployment({"stableRevision": stable.name}, spec__monitor={"drift": DRIFT})
    async with asking() as scene:
        scene.graph.monitor = encode(0, 50, 50, 0, 0, of="old")
        found = await scene.read(replace(POD, revision=stable.name), of=deployment, revisions=(view,))
        assert found.columns == 1


async def test_shadows_are_not_asked() -> None:
    (main,) = MODEL_DEPLOYMENT["spec"]["predictors"]
    predictors = [main, {**main, "name": "dark", "shadow": {"percent": 10}}]
    deployment = make_deployment(spec__monitor={"drift": DRIFT}, spec__predictors=predictors)
    async with asking() as scene:
        scene.graph.monitor = encode(0, 50, 50, 0, 0)
        found = await scene.read(POD, replace(POD, uid="uid-2", predictor="dark"), of=deployment)
        assert found.servers == 1


@pytest.mark.parametrize(
    "answer",
    [b"[]", b"{", b"\xff" * 100, b'{"predictor": "main", "nodes": [{}]}', b" " * (2 << 20), None],
    ids=["list", "cut", "binary", "incomplete", "huge", "404"],
)
async def test_nonsense_of_a_server_is_a_finding(answer: bytes | None) -> None:
    async with asking() as scene:
        scene.graph.monitor = answer
        found = await scene.read(POD)
        assert (found.servers, found.answered, found.rows) == (1, 0, 0)
        assert found.problem.startswith("A server does not say what it has counted: ")
        assert len(found.problem) <= 256


async def test_no_more_servers_are_read_than_a_bound() -> None:
    async with asking() as scene:
        scene.graph.monitor = encode(0, 50, 50, 0, 0)
        found = await scene.read(*(replace(POD, uid=f"uid-{index}") for index in range(100)))
        assert found.servers == found.answered == 32
