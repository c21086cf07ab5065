"""SIGTERM: requests are accepted for a while, those in flight are finished within the grace, and then all is closed."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

from tests.components.serving.tiny_app import TIMEOUT_SECONDS, Running, wait_until

Start = Callable[..., Awaitable[Running]]
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
WAIT = GET.replace(b"/", b"/wait", 1)
POST = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
LONG = 600.0


async def terminate(running: Running) -> None:
    """Send the signal to this process, whose handler is the server's, and wait until it was handled."""
    signal.raise_signal(signal.SIGTERM)
    await wait_until(lambda: running.app.draining)


async def finish(running: Running) -> None:
    """Wait until the server has stopped."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await running.task


async def test_requests_during_the_drain_are_answered_and_their_connections_closed(start: Start) -> None:
    running = await start(drain_seconds=LONG)
    pooled = await running.connect()
    await pooled.send(GET)
    assert not (await pooled.receive()).closes
    await terminate(running)
    new = await running.connect()
    for client in (pooled, new):
        await client.send(GET)
        received = await client.receive()
        assert (received.status, received.closes) == (200, True)
        assert await client.read_until_closed() == b""
    assert not running.task.done()


async def test_after_the_drain_idle_connections_are_closed_and_requests_in_flight_finished(start: Start) -> None:
    running = await start(grace_seconds=LONG)
    idle, busy, reading = [await running.connect() for _ in range(3)]
    await idle.send(GET)
    await idle.receive()
    await busy.send(WAIT)
    await running.app.wait_requests(2)
    await reading.send(POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert (await reading.receive()).status == 100
    await terminate(running)
    assert await idle.read_until_closed() == b""
    await reading.send(b"hello")
    running.app.proceed.set()
    for client in (busy, reading):
        received = await client.receive()
        assert (received.status, received.closes) == (200, True)
    await finish(running)


async def test_the_application_answers_at_the_end_of_the_grace_what_it_has_not_finished(start: Start) -> None:
    running = await start(grace_seconds=0.1)
    busy = await running.connect()
    await busy.send(WAIT)
    await running.app.wait_requests(1)
    await terminate(running)
    received = await busy.receive()
    assert (received.status, received.closes, received.json) == (503, True, {"error": "gave up"})
    await finish(running)


async def test_a_request_that_is_never_answered_does_not_hold_the_exit(start: Start) -> None:
    running = await start(grace_seconds=0.1)
    busy = await running.connect()
    await busy.send(GET.replace(b"/", b"/never", 1))
    await running.app.wait_requests(1)
    await terminate(running)
    assert await busy.read_until_closed() == b""
    await finish(running)


async def test_a_second_signal_ends_drain_and_grace(start: Start) -> None:
    running = await start(drain_seconds=LONG, grace_seconds=LONG)
    busy = await running.connect()
    await busy.send(WAIT)
    await running.app.wait_requests(1)
    await terminate(running)
    signal.raise_signal(signal.SIGTERM)
    assert await busy.read_until_closed() == b""
    await finish(running)


async def test_requests_over_other_protocols_are_waited_for_within_the_grace(start: Start) -> None:
    running, other = await start(grace_seconds=LONG), asyncio.Event()
    running.server.others.append(other)
    await terminate(running)
    await wait_until(running.server.stopping.is_set)
    await asyncio.sleep(0.2)
    assert not running.app.gave_up
    other.set()
    await finish(running)
    hasty = await start(grace_seconds=0.1)
    hasty.server.others.append(asyncio.Event())
    await terminate(hasty)
    await finish(hasty)
    assert hasty.app.gave_up
