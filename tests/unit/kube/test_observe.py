"""Observation: only the current attempt's running launcher is asked, and only for artifacts that are allowed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from fairlead.core.conditions import Rejection
from fairlead.core.model_deployment.observed import Artifacts
from fairlead.core.settings import Settings
from fairlead.core.training_job.observed import Gate, Launcher
from fairlead.core.views import PodView
from fairlead.kube.kinds import Key
from fairlead.kube.observe import Sources, _observe_launcher, observe_deployment, observe_job
from fairlead.kube.reports import Rates, Reports

from tests.support.resources import DIGEST, make_deployment, make_job
from tests.support.scripted_api import ScriptedApi, scripted_client
from tests.support.sources import make_sources
from tests.support.waiting import wait_until

DIGITS = Key("TrainingJob", "default", "digits")
CREATED = datetime(2026, 3, 1, tzinfo=UTC)
RUNS: dict[str, Any] = {"role": "launcher", "phase": "Running", "ip": "127.0.0.1", "created": CREATED}


def launcher(uid: str = "one", **changes: Any) -> tuple[PodView, ...]:
    return (PodView("digits-launcher", uid, **RUNS | changes),)


async def test_the_report_of_an_earlier_launcher_is_not_that_of_the_current_one() -> None:
    async def answer(_: web.Request) -> web.Response:
        workers = {"ready": 2, "desired": 2, "registered": 2}
        return web.json_response({"phase": "Running", "workers": workers})

    app = web.Application()
    app.router.add_get("/status", answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as http:
        reports = Reports(http, lambda _: None, Rates(0.05, 1000, 1000, 1000), runner.addresses[0][1])
        task = asyncio.create_task(reports.run())
        first = make_job()
        assert _observe_launcher(reports, DIGITS, first, launcher()) == Launcher()
        await wait_until(lambda: _observe_launcher(reports, DIGITS, first, launcher()).report is not None, 30)
        # the next pod of that name has the same address
        assert _observe_launcher(reports, DIGITS, first, launcher("two")) == Launcher()
        await wait_until(lambda: _observe_launcher(reports, DIGITS, first, launcher("two")).report is not None, 30)
        # the job was restarted: its pods are those of the earlier attempt
        second = make_job({"workers": {"restarts": 1}})
        assert _observe_launcher(reports, DIGITS, second, launcher("two")) == Launcher()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await runner.cleanup()


@pytest.mark.parametrize(
    "pods",
    [(), launcher(phase="Pending"), launcher(phase="Succeeded"), launcher(deleting=True), launcher(attempt=1),
     launcher(role="worker")],
)  # fmt: skip
async def test_a_launcher_that_does_not_run_is_not_asked(pods: tuple[PodView, ...]) -> None:
    async with aiohttp.ClientSession() as http:
        reports = Reports(http, lambda _: None, Rates(1, 1, 1, 1))
        assert _observe_launcher(reports, DIGITS, make_job(), pods) == Launcher()
        assert not reports._followed


async def test_a_running_launcher_without_an_address_has_been_silent_since_it_was_created() -> None:
    async with aiohttp.ClientSession() as http:
        reports = Reports(http, lambda _: None, Rates(1, 1, 1, 1))
        observed = _observe_launcher(reports, DIGITS, make_job(), launcher(ip=None))
    assert observed == Launcher(silent_since=CREATED)


@asynccontextmanager
async def sources_of(prefixes: str) -> AsyncIterator[Sources]:
    async with scripted_client(ScriptedApi()) as kube, aiohttp.ClientSession() as http:
        yield make_sources(kube, http, Settings(artifact_prefixes=prefixes))


@pytest.mark.parametrize(
    ("prefixes", "asked"), [("default=file:///data", True), ("default=file:///other,team-b=file:///data", False)]
)
async def test_a_dataset_that_is_not_allowed_is_not_read(prefixes: str, asked: bool) -> None:
    job = make_job(spec__dataset={"uri": "file:///data/digits", "digest": DIGEST, "requireValidation": True})
    async with sources_of(prefixes) as sources:
        assert observe_job(sources, job).gate == Gate(pending=asked)
        assert bool(sources.store._entries) is asked
        sources.store.forget(DIGITS)


async def test_a_route_that_is_rejected_says_nothing_about_what_serves() -> None:
    deployment = make_deployment(spec__expose={"hosts": ["digits.example.com"], "ingress": {}})
    async with sources_of("") as sources:
        of_route = observe_deployment(sources, deployment, Rejection("Rejected", "no", "Ingress"))
        of_child = observe_deployment(sources, deployment, Rejection("Rejected", "no", "Deployment"))
        sources.store.forget(Key("ModelDeployment", "default", "digits"))
    assert (of_route.rejection, of_child.routes.rejection) == (None, None)
    assert (of_route.routes.rejection, of_child.rejection) == (
        Rejection("Rejected", "no", "Ingress"), Rejection("Rejected", "no", "Deployment"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("prefixes", "asked"),
    [
        pytest.param("default=s3://models", True, id="both models are allowed"),
        pytest.param("default=s3://models/scaler", False, id="only one is allowed"),
        pytest.param("team-b=s3://models", False, id="another namespace may read them"),
    ],
)
async def test_no_model_is_read_unless_all_are_allowed(prefixes: str, asked: bool) -> None:
    async with sources_of(prefixes) as sources:
        assert observe_deployment(sources, make_deployment()).artifacts == Artifacts(pending=asked)
        assert bool(sources.store._entries) is asked
        sources.store.forget(Key("ModelDeployment", "default", "digits"))
