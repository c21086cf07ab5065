"""The lives of resources that the campaign disturbs: what happens to each, and its end state."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead.core import names
from fairlead.kube.client import KubeClient
from fairlead.kube.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    EVENT,
    MODEL_DEPLOYMENT,
    POD,
    SECRET,
    SERVICE,
    TRAINING_JOB,
    Kind,
)
from fairlead_artifacts import publish

from tests.chaos.operator.kubelet import Script
from tests.support.resources import MODEL_DEPLOYMENT as DEPLOYMENT_EXAMPLE
from tests.support.resources import TRAINING_JOB as JOB_EXAMPLE
from tests.support.resources import change

Object = dict[str, Any]
NAME = "digits"
_SECONDS = 90.0
_HASH = re.compile(r"(-[0-9a-f]{8,10}(-[0-9a-z]{5})?)+$")
"""The parts of names that depend on the namespace, and the random ones of a ReplicaSet's pods."""
_CHILDREN = (POD, SERVICE, SECRET, CONFIG_MAP, DEPLOYMENT)


class Unfinished(Exception):
    """A life did not reach its next step in time."""


@dataclass(frozen=True)
class Stage:
    """Where a life takes place."""

    kube: KubeClient
    namespace: str
    script: Script
    models: Path
    """A folder with the models `one` and `two`."""

    async def create(self, kind: Kind, obj: Object) -> None:
        """Create the resource of the life."""
        await self.kube.create(kind, obj | {"metadata": {"name": NAME}}, self.namespace)

    async def patch(self, kind: Kind, spec: Object) -> None:
        """Change its spec."""
        await self.kube.patch(kind, NAME, {"spec": spec}, self.namespace)

    async def wait(self, kind: Kind, what: str, test: Callable[[Object], bool]) -> None:
        """Wait until a test of the resource is true; raises Unfinished."""
        await self.wait_until(what, lambda: self._test(kind, test))

    async def wait_until(self, what: str, test: Callable[[], Awaitable[bool]]) -> None:
        """Wait until a test is true; raises Unfinished."""
        try:
            async with asyncio.timeout(_SECONDS):
                while not await test():  # noqa: ASYNC110 - the change happens on the server
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise Unfinished(f"not {what} after {_SECONDS:.0f} s") from None

    async def children(self, kind: Kind) -> list[Object]:
        """Return the children of a kind."""
        managed = f"{names.MANAGED_BY}={names.OPERATOR}"
        return await self.kube.list(kind, self.namespace, labels=managed)

    async def is_without(self, kind: Kind) -> bool:
        """Return whether it has no child of a kind."""
        return not await self.children(kind)

    async def _test(self, kind: Kind, test: Callable[[Object], bool]) -> bool:
        return test(await self.kube.get(kind, NAME, self.namespace))


@dataclass(frozen=True)
class Life:
    """One life. `run` ends when nothing more is expected to happen."""

    name: str
    kind: Kind
    run: Callable[[Stage], Awaitable[None]]
    failures: tuple[tuple[int, int], ...] = ()
    """(attempt, worker) pairs: the worker fails in the attempt."""
    held: bool = False
    """Whether pods run until the life releases them."""

    def script(self) -> Script:
        """Return how its pods behave."""
        script = Script(dict(self.failures))
        if not self.held:
            script.released.set()
        return script


def has_phase(*expected: str) -> Callable[[Object], bool]:
    """Return a test of a job's phase."""
    return lambda job: job.get("status", {}).get("phase") in expected


def build_job(**policy: Any) -> Object:
    """Return a job that is not restarted, unless its policy says so."""
    return change(JOB_EXAMPLE, spec__runPolicy={"backoffLimit": 0} | policy)


async def _run_job(stage: Stage, **policy: Any) -> None:
    await stage.create(TRAINING_JOB, build_job(**policy))
    await stage.wait(TRAINING_JOB, "finished", has_phase("Succeeded", "Failed"))
    await stage.wait_until("without its Service", lambda: stage.is_without(SERVICE))


async def _suspend(stage: Stage) -> None:
    await stage.create(TRAINING_JOB, build_job())
    await stage.wait(TRAINING_JOB, "Running", has_phase("Running"))
    await stage.patch(TRAINING_JOB, {"runPolicy": {"suspend": True}})
    await stage.wait(TRAINING_JOB, "Suspended", has_phase("Suspended"))
    await stage.wait_until("without pods", lambda: stage.is_without(POD))
    stage.script.released.set()
    await stage.patch(TRAINING_JOB, {"runPolicy": {"suspend": False}})
    await stage.wait(TRAINING_JOB, "Succeeded", has_phase("Succeeded"))
    await stage.wait_until("without its Service", lambda: stage.is_without(SERVICE))


async def _delete(stage: Stage) -> None:
    await stage.create(TRAINING_JOB, build_job())
    await stage.wait(TRAINING_JOB, "Running", has_phase("Running"))
    await stage.kube.delete(TRAINING_JOB, NAME, stage.namespace)
    for kind in _CHILDREN:
        await stage.wait_until(f"without a {kind.kind}", lambda kind=kind: stage.is_without(kind))  # type: ignore[misc]


async def _serve(stage: Stage) -> None:
    def ready(generation: int) -> Callable[[Object], bool]:
        def test(deployment: Object) -> bool:
            status = deployment.get("status", {})
            found = [c["status"] for c in status.get("conditions", []) if c["type"] == "Ready"]
            return found == ["True"] and status.get("observedGeneration") == generation

        return test

    one, two = (stage.models / name for name in ("one", "two"))
    graph = {"name": "classifier", "modelUri": one.as_uri()}
    await stage.create(MODEL_DEPLOYMENT, change(DEPLOYMENT_EXAMPLE, spec__predictors__0__graph=graph))
    await stage.wait(MODEL_DEPLOYMENT, "Ready", ready(1))
    predictor = {"name": "main", "graph": graph | {"modelUri": two.as_uri()}}
    await stage.patch(MODEL_DEPLOYMENT, {"predictors": [predictor]})
    await stage.wait(MODEL_DEPLOYMENT, "Ready with another model", ready(2))
    await stage.patch(MODEL_DEPLOYMENT, {"replicas": 2})
    await stage.wait(MODEL_DEPLOYMENT, "Ready with two replicas", ready(3))


LIVES = (
    Life("succeeds", TRAINING_JOB, _run_job),
    Life("restarts", TRAINING_JOB, lambda stage: _run_job(stage, backoffLimit=2), failures=((0, 1),)),
    Life("fails", TRAINING_JOB, _run_job, failures=((0, 1),)),
    Life("is suspended", TRAINING_JOB, _suspend, held=True),
    Life("is deleted", TRAINING_JOB, _delete, held=True),
    Life("serves", MODEL_DEPLOYMENT, _serve),
)


def publish_models(folder: Path) -> None:
    """Publish the models that the deployment's life names; the operator reads their manifests alone."""
    source = folder / "source"
    source.mkdir(parents=True)
    for name in ("one", "two"):
        (source / "model.onnx").write_text(name)
        publish(source, (folder / name).as_uri(), kind="onnx-model", producer="test/1")


async def read_end_state(stage: Stage, kind: Kind) -> Object:
    """Return what must not depend on faults: status without times, children by name, events by reason."""
    obj = await stage.kube.find(kind, NAME, stage.namespace)
    status = obj.get("status", {}) if obj else {}
    conditions = {c["type"]: f"{c['status']} {c['reason']}" for c in status.get("conditions", [])}
    keys = ("phase", "workers", "replicas", "predictors", "observedGeneration")
    events = await stage.kube.list(EVENT, stage.namespace)
    children: dict[str, Object] = {}
    for child_kind in _CHILDREN:
        for child in await stage.children(child_kind):
            facts = {"phase": child.get("status", {}).get("phase", "")} if child_kind is POD else {}
            if child_kind is CONFIG_MAP:
                facts = {"models": sorted(set(re.findall(r"sha256:[0-9a-f]{64}", child["data"]["graph.json"])))}
            name = _HASH.sub("-…", child["metadata"]["name"])
            found = children.setdefault(f"{child_kind.kind} {name}", {"count": 0, **facts})
            found["count"] += 1
    return {
        "exists": obj is not None,
        **{key: status[key] for key in keys if key in status},
        "conditions": conditions,
        "times": sorted(key for key in ("startTime", "completionTime") if key in status),
        "provenance": [item["name"] for item in status.get("provenance", [])],
        "step": status.get("progress", {}).get("step"),
        "children": children,
        "events": sorted({e["reason"] for e in events if e.get("reportingController") == "fairlead.dev/operator"}),
    }
