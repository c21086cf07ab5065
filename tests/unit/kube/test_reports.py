"""Progress reports: read and published at bounded rates, with limits on a launcher's response."""

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
from fairlead.kube.kinds import Key
from fairlead.kube.reports import Reports, parse_report

from tests.support.waiting import wait_until

DIGITS = Key("TrainingJob", "default", "digits")


def status(progress: Any) -> dict[str, Any]:
    """Return a launcher's status with this progress."""
    return {"phase": "Running", "workers": {"ready": 2, "desired": 2}, "progress": progress}


REPORT = status({"step": 3, "totalSteps": 9, "metrics": {"loss": 0.51234567}})


@asynccontextmanager
async def reading(
    handler: Any,
    jobs: int = 1,
    reads: float = 1000,
    writes: float = 1000,
) -> AsyncIterator[tuple[Reports, list[tuple[Key, float]]]]:
    """Follow launchers that share one server; yield the reports and (job, time) of published progress."""
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    published: list[tuple[Key, float]] = []
    async with aiohttp.ClientSession() as http:
        reports = Reports(http, lambda key: published.append((key, time.monotonic())), 0.05, reads, writes, port)
        for index in range(jobs):
            reports.follow(DIGITS._replace(name=f"digits-{index}"), f"uid-{index}", "127.0.0.1")
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
        progress = reports.latest(published[0][0], "uid-0")
        assert progress is not None
        assert progress.step == 2
        assert reports.latest(published[0][0], "the uid of a successor") is None


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

    async def handler(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
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


def test_a_report_is_parsed() -> None:
    progress = parse_report(json.dumps(REPORT).encode())
    assert progress is not None
    assert (progress.step, progress.total_steps, progress.metrics) == (3, 9, {"loss": 0.512346})
    assert parse_report(json.dumps(status(None)).encode()) is None


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
