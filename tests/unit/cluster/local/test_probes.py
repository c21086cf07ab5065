"""Probes: thresholds and the three kinds."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from fairlead_cluster.local.node.probes import ProbeSpec, Verdict, check_probe, verdicts

SPEC = ProbeSpec(initial_delay=0, period=0.01, timeout=0.05, successes=2, failures=3)


@pytest.mark.parametrize(
    ("results", "passing", "reason"),
    [
        ([], None, "nothing is known before the first result"),
        ([True], None, "one success of two"),
        ([True, True], True, "enough successes"),
        ([True, False, True], None, "successes must be in a row"),
        ([True, True, False, False], True, "two failures of three"),
        ([True, True, False, False, False], False, "enough failures"),
        ([True, True, False, False, True, False], True, "a success resets the count of failures"),
        ([False, False, False, True, True], True, "back again"),
    ],
)
def test_a_verdict_needs_enough_results_in_a_row(results: list[bool], passing: bool | None, reason: str) -> None:
    verdict = Verdict(None)
    for result in results:
        verdict = verdict.after(result, SPEC)
    assert verdict.passing is passing, reason


def test_kubernetes_defaults_are_used_for_missing_fields() -> None:
    assert ProbeSpec.of({"httpGet": {}}) == ProbeSpec(initial_delay=0, period=10, timeout=1, successes=1, failures=3)


def test_a_probe_that_takes_too_long_has_failed() -> None:
    async def first() -> tuple[Verdict, str | None]:
        async def check() -> str | None:
            await asyncio.sleep(10)
            return None

        async for result in verdicts(SPEC, check, quick=False):
            return result
        raise AssertionError("probing never ends")

    verdict, failure = asyncio.run(first())
    assert (verdict.last, failure) == (False, "no response within 0.05 s")


@asynccontextmanager
async def _server() -> AsyncIterator[int]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=int(request.path.strip("/")), text=request.headers.get("X-Key", ""))

    app = web.Application()
    app.router.add_get("/{status}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _never(_: list[str], __: float) -> int:
    raise AssertionError("no command was expected")


@pytest.mark.parametrize(("status", "success"), [(200, True), (302, True), (404, False), (503, False)])
def test_an_http_probe_accepts_200_to_399(status: int, success: bool) -> None:
    async def ask() -> str | None:
        async with _server() as port:
            container = {"name": "main", "ports": [{"name": "web", "containerPort": port}]}
            return await check_probe({"httpGet": {"path": f"/{status}", "port": "web"}}, container, "127.0.0.1", _never)

    failure = asyncio.run(ask())
    assert (failure is None) == success
    assert success or f"status {status}" in str(failure)


def test_an_http_probe_does_not_load_the_machines_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """That took 50 ms of CPU time for each probe, and verified nothing."""
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", _forbidden)

    async def ask() -> str | None:
        async with _server() as port:
            return await check_probe({"httpGet": {"path": "/200", "port": port}}, {"name": "a"}, "127.0.0.1", _never)

    assert asyncio.run(ask()) is None


def _forbidden(*_: object) -> None:
    raise AssertionError("certificates were loaded")


def test_a_tcp_probe_needs_a_listening_port() -> None:
    async def ask() -> tuple[str | None, str | None]:
        async with _server() as port:
            probe = {"tcpSocket": {"port": port}}
            open_port = await check_probe(probe, {"name": "main"}, "127.0.0.1", _never)
        return open_port, await check_probe(probe, {"name": "main"}, "127.0.0.1", _never)

    success, failure = asyncio.run(ask())
    assert success is None
    assert failure is not None and failure.startswith("connect to 127.0.0.1:")


@pytest.mark.parametrize(("code", "expected"), [(0, None), (3, "command exited 3")])
def test_a_command_probe_uses_the_exit_code(code: int, expected: str | None) -> None:
    async def execute(argv: list[str], seconds: float) -> int:
        assert (argv, seconds) == (["true"], 2.0)
        return code

    probe = {"exec": {"command": ["true"]}, "timeoutSeconds": 2}
    assert asyncio.run(check_probe(probe, {"name": "main"}, "127.0.0.1", execute)) == expected
