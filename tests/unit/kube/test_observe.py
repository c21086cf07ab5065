"""Observation of a job's launcher: only that of the current attempt is asked, and only while it runs."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from fairlead.core.training_job.observed import Launcher
from fairlead.core.views import PodView
from fairlead.kube.kinds import Key
from fairlead.kube.observe import _observe_launcher
from fairlead.kube.reports import Rates, Reports

from tests.support.resources import make_job
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
