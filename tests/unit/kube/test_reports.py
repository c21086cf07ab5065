"""Progress reports: read and passed on at bounded rates; what a tenant's launcher sends is bounded and parsed."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from fairlead.core import names
from fairlead.kube.kinds import Key
from fairlead.kube.reports import Reports, parse_report

DIGITS = Key("TrainingJob", "default", "digits")
REPORT = {"phase": "Running", "progress": {"step": 3, "totalSteps": 9, "metrics": {"loss": 0.51234567}}}


@asynccontextmanager
async def reading(
    monkeypatch: pytest.MonkeyPatch,
    handler: web.RequestHandler,
    jobs: int = 1,
    reads: float = 1000,
    writes: float = 1000,
) -> AsyncIterator[tuple[Reports, list[tuple[Key, float]]]]:
    """Follow launchers that are all the same server; yield the reports and (job, moment) of what was published."""
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)  # type: ignore[arg-type]
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setattr(names, "LAUNCHER_PORT", runner.addresses[0][1])
    published: list[tuple[Key, float]] = []
    async with aiohttp.ClientSession() as http:
        reports = Reports(http, lambda key: published.append((key, time.monotonic())), 0.05, reads, writes)
        for index in range(jobs):
            reports.follow(DIGITS._replace(name=f"digits-{index}"), f"uid-{index}", "127.0.0.1")
        task = asyncio.create_task(reports.run())
        yield reports, published
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await runner.cleanup()


async def test_a_report_is_published_once_until_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = iter([1, 1, 1])

    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"progress": {"step": next(steps, 2)}})

    async with reading(monkeypatch, handler) as (reports, published):  # type: ignore[arg-type]
        await asyncio.sleep(1.0)
        assert len(published) == 2
        progress = reports.latest(published[0][0], "uid-0")
        assert progress is not None
        assert progress.step == 2
        assert reports.latest(published[0][0], "the uid of a successor") is None


async def test_reads_and_writes_are_bounded_over_all_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    async def handler(_: web.Request) -> web.Response:
        asked.append(time.monotonic())
        return web.json_response({"progress": {"step": len(asked)}})

    async with reading(monkeypatch, handler, jobs=30, reads=40, writes=5) as (_, published):  # type: ignore[arg-type]
        await asyncio.sleep(1.5)
    assert 20 <= len(asked) <= 60
    assert 3 <= len(published) <= 8
    # each job has its turn: nobody is published twice before all that wait were published
    assert len({key for key, _ in published}) == len(published)


async def test_a_launcher_that_hangs_does_not_delay_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    over = asyncio.Event()
    first = True

    async def handler(_: web.Request) -> web.Response:
        nonlocal first
        if first:
            first = False
            await over.wait()
        return web.json_response(REPORT)

    async with reading(monkeypatch, handler, jobs=5) as (_, published):  # type: ignore[arg-type]
        await asyncio.sleep(0.8)
        assert len(published) == 4
        over.set()


async def test_what_is_too_long_or_redirected_is_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(
        [
            web.Response(body=b'{"progress": {"step": 1}, "x": "' + b"a" * 100_000 + b'"}'),
            web.Response(status=302, headers={"Location": "/other"}),
            web.Response(status=500),
            web.Response(body=b"[" * 5000),
        ]
    )
    asked = 0

    async def handler(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return next(answers, web.Response(body=b"nothing"))

    async with reading(monkeypatch, handler) as (_, published):  # type: ignore[arg-type]
        await asyncio.sleep(1.2)
    assert asked > 4
    assert published == []


def test_a_report_is_parsed() -> None:
    progress = parse_report(b'{"progress": {"step": 3, "totalSteps": 9, "metrics": {"loss": 0.51234567}}}')
    assert progress is not None
    assert (progress.step, progress.total_steps, progress.metrics) == (3, 9, {"loss": 0.512346})
    assert parse_report(b'{"progress": null}') is None


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"{}", b'{"progress": 3}', b'{"progress": {"step": "many"}}', b'{"progress": {"step": NaN}}',
     b'{"progress": {"metrics": {%s}}}' % b",".join(b'"m%d": 1' % i for i in range(40))],
)  # fmt: skip
def test_a_report_that_does_not_parse_is_an_error_of_one_kind(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_report(body)
