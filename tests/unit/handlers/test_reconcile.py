"""Reconciles: which resources are ours to reconcile."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from fairlead.handlers.reconcile import Context, reconcile
from fairlead.kube.errors import ApiError
from fairlead.kube.execute import Writer
from fairlead.kube.kinds import POD, TRAINING_JOB, Key
from fairlead.kube.resources import ResourceCache
from prometheus_client import REGISTRY

from tests.support.resources import TRAINING_JOB as JOB
from tests.support.resources import Object, change
from tests.support.scripted_api import ScriptedApi, make_pod, scripted_client, status
from tests.support.sources import make_sources

DIGITS = Key("TrainingJob", "default", "digits")
IDENTITY = {"uid": "0a1b2c3d", "resourceVersion": "40"}
NOTHING: Object = {"kind": "Pod", "metadata": {"name": "x", "namespace": "default", **IDENTITY}}


@asynccontextmanager
async def context_of(api: ScriptedApi) -> AsyncIterator[Context]:
    async with scripted_client(api) as kube, aiohttp.ClientSession() as http:
        sources = make_sources(kube, http)
        yield Context(Writer(kube, sources.children), ResourceCache(lambda _: None), sources)


@pytest.mark.parametrize(
    "changes",
    [{}, {"spec__launcher": "Unknown"}, {"spec__runPolicy__suspend": True}, {"spec__elastic": {"maxReplicas": 2}}],
    ids=["new", "invalid", "suspended", "unsupported"],
)
async def test_a_job_of_another_controller_causes_no_request(changes: Object) -> None:
    api = ScriptedApi(writes=[NOTHING])
    async with context_of(api) as context:
        job = change(JOB, spec__runPolicy={"managedBy": "kueue.x-k8s.io/multikueue"})
        context.resources.put(TRAINING_JOB, change(job, metadata=job["metadata"] | IDENTITY, **changes))
        assert await reconcile(context, DIGITS) is None
    assert api.requests == []


async def test_a_status_that_was_written_is_counted_once() -> None:
    """Also when it is followed by an error, such as that of an event which cannot be sent."""
    failed = {"phase": "Running", "startTime": "2026-03-01T12:00:00Z", "workers": {"restarts": 7, "disruptions": 0}}
    pod = make_pod("digits-worker-0", 41, owner=IDENTITY["uid"])
    pod["metadata"]["labels"] |= {"fairlead.dev/attempt": "7", "fairlead.dev/worker-index": "0"}
    ended = {"terminated": {"exitCode": 3, "finishedAt": "2026-03-01T12:00:00Z"}}
    pod["status"] = {"phase": "Failed", "containerStatuses": [{"name": "trainer", "state": ended}]}
    written = {"kind": "TrainingJob", "metadata": {"name": "digits", "namespace": "default", **IDENTITY}}
    written["metadata"]["resourceVersion"] = "50"
    api = ScriptedApi(writes=[status(405, "MethodNotAllowed"), written, NOTHING])
    labels = {"namespace": "default", "cause": "failure"}

    def restarts() -> float:
        return REGISTRY.get_sample_value("fairlead_job_restarts_total", labels) or 0

    before = restarts()
    async with context_of(api) as context:
        job = change(JOB, spec__runPolicy={"backoffLimit": 9})
        context.resources.put(TRAINING_JOB, job | {"metadata": job["metadata"] | IDENTITY, "status": failed})
        context.sources.children.put(POD, pod)
        with pytest.raises(ApiError, match="MethodNotAllowed"):
            await reconcile(context, DIGITS)
        assert restarts() == before + 1
        await reconcile(context, DIGITS)
    assert restarts() == before + 1


async def test_a_status_that_meets_a_newer_object_is_not_written_and_the_object_is_read() -> None:
    suspended = change(JOB, spec__runPolicy={"suspend": True})
    newer = change(suspended, metadata=JOB["metadata"] | IDENTITY | {"resourceVersion": "41"})
    written = {"kind": "TrainingJob", "metadata": newer["metadata"] | {"resourceVersion": "42"}}
    api = ScriptedApi(writes=[status(409, "Conflict"), written], lists=[newer])
    async with context_of(api) as context:
        context.resources.put(TRAINING_JOB, change(suspended, metadata=JOB["metadata"] | IDENTITY))
        assert await reconcile(context, DIGITS) == 0.05
        assert context.resources.seen(IDENTITY["uid"]) == 41
        # which the next reconcile starts from
        assert await reconcile(context, DIGITS) is None
    assert [(method, path.rpartition("/")[2]) for method, path, _ in api.requests] == [
        ("PATCH", "status"), ("GET", "digits"), ("PATCH", "status"),
    ]  # fmt: skip
    assert [body["metadata"]["resourceVersion"] for body in api.bodies] == ["40", "41"]


@pytest.mark.parametrize("now", [status(404, "NotFound"), "another"])
async def test_a_status_that_meets_a_deleted_job_forgets_it(now: web.Response | str) -> None:
    suspended = change(JOB, spec__runPolicy={"suspend": True})
    another = change(suspended, metadata=JOB["metadata"] | {"uid": "9f8e7d6c", "resourceVersion": "41"})
    api = ScriptedApi(writes=[status(409, "Conflict")], lists=[another if now == "another" else now])
    async with context_of(api) as context:
        context.resources.put(TRAINING_JOB, change(suspended, metadata=JOB["metadata"] | IDENTITY))
        assert await reconcile(context, DIGITS) == 0.05
        stored = context.resources.get(DIGITS)
    assert (stored and stored.uid) == ("9f8e7d6c" if now == "another" else None)


async def test_a_job_that_names_this_operator_is_reconciled() -> None:
    api = ScriptedApi(writes=[NOTHING])
    async with context_of(api) as context:
        job = change(JOB, spec__runPolicy={"managedBy": "fairlead.dev/operator"})
        context.resources.put(TRAINING_JOB, change(job, metadata=job["metadata"] | IDENTITY))
        await reconcile(context, DIGITS)
    assert {method for method, _, _ in api.requests} == {"POST"}
