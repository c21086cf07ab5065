"""Reconciles: which resources are ours to reconcile."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from fairlead.core.settings import Settings
from fairlead.handlers.reconcile import Context, reconcile
from fairlead.kube.children import ChildCache
from fairlead.kube.execute import Writer
from fairlead.kube.inquiries import Inquiries
from fairlead.kube.kinds import TRAINING_JOB, Key
from fairlead.kube.observe import Sources
from fairlead.kube.reports import Rates, Reports
from fairlead.kube.resources import ResourceCache

from tests.support.resources import TRAINING_JOB as JOB
from tests.support.resources import Object, change
from tests.support.scripted_api import ScriptedApi, scripted_client

DIGITS = Key("TrainingJob", "default", "digits")
IDENTITY = {"uid": "0a1b2c3d", "resourceVersion": "40"}
NOTHING: Object = {"kind": "Pod", "metadata": {"name": "x", "namespace": "default", **IDENTITY}}


@asynccontextmanager
async def context_of(api: ScriptedApi) -> AsyncIterator[Context]:
    async with scripted_client(api) as kube, aiohttp.ClientSession() as http:
        children = ChildCache(lambda _: None)
        inquiries = Inquiries(lambda _: None, 1.0)
        sources = Sources(
            children, Reports(http, lambda _: None, Rates(1, 1, 1, 1)), inquiries, inquiries, http, Settings()
        )
        yield Context(Writer(kube, children), ResourceCache(lambda _: None), sources)


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


async def test_a_job_that_names_this_operator_is_reconciled() -> None:
    api = ScriptedApi(writes=[NOTHING])
    async with context_of(api) as context:
        job = change(JOB, spec__runPolicy={"managedBy": "fairlead.dev/operator"})
        context.resources.put(TRAINING_JOB, change(job, metadata=job["metadata"] | IDENTITY))
        await reconcile(context, DIGITS)
    assert {method for method, _, _ in api.requests} == {"POST"}
