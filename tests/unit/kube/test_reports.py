"""Launchers' reports: read and published at bounded rates, with limits on a launcher's response."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from fairlead.core.training_job.observed import Launcher
from fairlead.kube.kinds import Key
from fairlead.kube.reports import Rates, Reports, parse_report

from tests.support.waiting import wait_until

DIGITS = Key("TrainingJob", "default", "digits")


def status(progress: Any) -> dict[str, Any]:
    """Return a launcher's status with this progress."""
    return {"phase": "Running", "workers": {"ready": 2, "desired": 2, "registered": 2}, "progress": progress}


def registering(*missing: int) -> dict[str, Any]:
    """Return the status of a launcher that waits for workers."""
    workers = {"ready": 2 - len(missing), "desired": 2, "registered": 2 - len(missing)}
    return {"phase": "Waiting", "workers": workers, "waiting": {"workers": missing, "since": "2026-03-01T12:00:00Z"}}


REPORT = status({"step": 3, "totalSteps": 9, "metrics": {"loss": 0.51234567}})


@asynccontextmanager
async def reading(
    handler: Any,
    jobs: int = 1,
    reads: float = 1000,
    writes: float = 1000,
    waiting: tuple[int, ...] = (),
) -> AsyncIterator[tuple[Reports, list[tuple[Key, float]]]]:
    """Follow launchers that share one server; yield the reports and (job, time) of each publication.

    `waiting` are the jobs that wait for their workers to register.
    """
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    published: list[tuple[Key, float]] = []
    async with aiohttp.ClientSession() as http:
        rates = Rates(0.05, reads, 1000, writes)
        reports = Reports(http, lambda key: published.append((key, time.monotonic())), rates, port)
        for index in range(jobs):
            reports.follow(DIGITS._replace(name=f"digits-{index}"), f"uid-{index}", "127.0.0.1", index in waiting)
        task = asyncio.create_task(reports.run())
        yield reports, published
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await runner.cleanup()


async def test_a_report_is_published_once_until_it_changes() -> None:
    steps = iter([1, 1, 1])

    async def handler(_: web.Request) -> web.Response:
        return web.json_response(status({"step": next(steps, 2)}))

    async with reading(handler) as (reports, published):
        await wait_until(lambda: len(published) == 2, 30)
        await asyncio.sleep(0.5)  # the same report again and again
        assert len(published) == 2
        report = reports.latest(published[0][0], "uid-0").report
        assert report is not None
        assert report.progress is not None
        assert report.progress.step == 2
        assert reports.latest(published[0][0], "the uid of a successor") == Launcher()


async def test_reads_and_writes_are_bounded_over_all_jobs() -> None:
    asked: list[float] = []

    async def handler(_: web.Request) -> web.Response:
        asked.append(time.monotonic())
        return web.json_response(status({"step": len(asked)}))

    began = time.monotonic()
    async with reading(handler, jobs=30, reads=40, writes=10) as (_, published):
        await wait_until(lambda: len(published) >= 10 and len(asked) >= 40, 30)
        seconds = time.monotonic() - began
        reads, writes = len(asked), len(published)
    # a busy machine may be slower than the limit, never faster
    assert reads <= 40 * seconds + 2
    assert writes <= 10 * seconds + 2
    # jobs take turns: none is published twice before all waiting ones were published
    first = [key for key, _ in published[:10]]
    assert len(set(first)) == len(first)


async def test_a_launcher_that_hangs_does_not_delay_the_others() -> None:
    over = asyncio.Event()
    first = True

    async def handler(_: web.Request) -> web.Response:
        nonlocal first
        if first:
            first = False
            await over.wait()
        return web.json_response(REPORT)

    async with reading(handler, jobs=5) as (_, published):
        await wait_until(lambda: len(published) == 4, 30)
        over.set()


async def test_long_and_redirected_responses_are_ignored() -> None:
    answers = iter(
        [
            web.Response(body=json.dumps(REPORT | {"x": "a" * 100_000})),
            web.Response(status=302, headers={"Location": "/other"}),
            web.Response(status=500),
            web.Response(body=b"[" * 5000),
        ]
    )
    asked = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if request.path == "/other":
            return web.json_response(REPORT)
        return next(answers, web.Response(body=b"nothing"))

    async with reading(handler) as (_, published):
        await wait_until(lambda: asked > 5, 30)
    assert published == []


async def test_a_compressed_response_is_neither_asked_for_nor_unpacked() -> None:
    packed = gzip.compress(json.dumps(REPORT).encode())
    asked: list[str | None] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.headers.get("Accept-Encoding"))
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    async with reading(handler) as (_, published):
        await wait_until(lambda: len(asked) > 3, 30)
    assert set(asked) == {"identity"}
    assert published == []


async def test_registration_waits_neither_for_the_progress_of_others_nor_for_its_publication() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.json_response(REPORT)

    # the first job's read and publication use up what is allowed in an hour
    async with reading(handler, jobs=3, reads=1 / 3600, writes=1 / 3600, waiting=(2,)) as (reports, published):
        await wait_until(lambda: len(published) == 2, 30)
        assert {key.name for key, _ in published} == {"digits-0", "digits-2"}
        report = reports.latest(DIGITS._replace(name="digits-2"), "uid-2").report
    assert report is not None
    assert report.complete


async def test_missing_workers_are_published_until_all_have_registered() -> None:
    answers = iter([registering(0, 1), registering(1)])
    seen: list[tuple[int, tuple[int, ...]]] = []

    async def handler(_: web.Request) -> web.Response:
        return web.json_response(next(answers, REPORT))

    async with reading(handler, waiting=(0,)) as (reports, published):
        await wait_until(lambda: _note(seen, reports) and seen[-1][0] == 2, 30)
        assert len(published) == 3
    assert seen == [(0, (0, 1)), (1, (1,)), (2, ())]


def _note(seen: list[tuple[int, tuple[int, ...]]], reports: Reports) -> bool:
    report = reports.latest(DIGITS._replace(name="digits-0"), "uid-0").report
    if report and seen[-1:] != [(report.registered, report.missing)]:
        seen.append((report.registered, report.missing))
    return bool(seen)


async def test_a_running_jobs_launcher_that_is_silent_for_long_is_published_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fairlead.kube.reports.MISSED_SECONDS", 0.3)
    answers, asked = True, 0

    async def handler(_: web.Request) -> web.Response:
        nonlocal asked
        asked += not answers
        return web.json_response(REPORT) if answers else web.Response(status=500)

    async with reading(handler, jobs=1) as (reports, published):
        await wait_until(lambda: len(published) == 1, 30)
        answers = False
        await wait_until(lambda: len(published) == 2, 30)
        silent = reports.latest(DIGITS._replace(name="digits-0"), "uid-0")
        assert silent.silent_since is not None and silent.report is not None
        so_far = asked
        await wait_until(lambda: asked >= so_far + 3, 30)
        assert len(published) == 2
        answers = True
        await wait_until(lambda: len(published) == 3, 30)


async def test_silence_is_known_and_its_end_is_published() -> None:
    answers = True

    async def handler(_: web.Request) -> web.Response:
        return web.json_response(registering(1)) if answers else web.Response(status=500)

    async with reading(handler, waiting=(0,)) as (reports, published):
        key = DIGITS._replace(name="digits-0")
        await wait_until(lambda: len(published) == 1, 30)
        first = reports.latest(key, "uid-0")
        assert (first.silent_since, first.report and first.report.missing) == (None, (1,))
        answers = False
        await wait_until(lambda: len(published) == 2, 30)
        silent = reports.latest(key, "uid-0")
        assert silent.silent_since is not None
        assert silent.report == first.report
        answers = True
        await wait_until(lambda: len(published) == 3, 30)
        again = reports.latest(key, "uid-0")
        assert again.silent_since is None
        assert again.report is not None
        assert first.report is not None
        assert again.report.read > first.report.read  # type: ignore[operator]


def test_a_report_is_parsed() -> None:
    report = parse_report(json.dumps(REPORT).encode())
    assert report.progress is not None
    assert (report.progress.step, report.progress.total_steps, report.progress.metrics) == (3, 9, {"loss": 0.512346})
    assert report.complete
    assert parse_report(json.dumps(status(None)).encode()).progress is None
    assert not parse_report(json.dumps(registering(1)).encode()).complete


def test_the_phase_of_a_launcher_without_the_number_tells_that_all_workers_have_registered() -> None:
    def parse(phase: str) -> bool:
        return parse_report(json.dumps({"phase": phase, "workers": {"ready": 2, "desired": 2}}).encode()).complete

    assert parse("Running")
    assert not parse("Waiting")


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"{}", b'{"progress": null}', b"[" * 5000,
     *(json.dumps(status(bad)).encode() for bad in (
         3, {"step": "many"}, {"step": float("nan")}, {"metrics": {}},
         {"step": 1, "metrics": {f"m{i}": 1.0 for i in range(40)}},
     ))],
)  # fmt: skip
def test_an_invalid_report_raises_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_report(body)


async def test_the_last_step_is_known_before_its_report_is_published() -> None:
    steps = iter(range(1, 10_000))

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(status({"step": next(steps)}))

    async with reading(answer, writes=0.1) as (reports, published):
        key = DIGITS._replace(name="digits-0")

        def ahead() -> bool:
            report = reports.latest(key, "uid-0").report
            return bool(report and report.progress and report.step and report.step > report.progress.step)

        await wait_until(ahead, 10)
        assert len(published) == 1
