"""Bounds on connections, memory and time: what is over them is rejected or closed, and others are served."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import Awaitable, Callable

import pytest
from fairlead_serving.limits import MIB

from tests.components.serving.tiny_app import ADDRESS, TIMEOUT_SECONDS, Client, Running, wait_until

Start = Callable[..., Awaitable[Running]]
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
WAIT = GET.replace(b"/", b"/wait", 1)
POST = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
OTHER = "127.0.0.3"
LARGE = 8 * MIB
"""More than the kernel keeps for a connection whose client does not read."""


async def keep_busy(running: Running, count: int) -> list[Client]:
    """Open connections whose requests are in flight."""
    before = len(running.app.requests)
    clients = [await running.connect() for _ in range(count)]
    for client in clients:
        await client.send(WAIT)
    await running.app.wait_requests(before + count)
    return clients


# Connections


async def test_a_client_at_its_limit_is_rejected_while_its_requests_are_in_flight_and_others_are_served(
    start: Start,
) -> None:
    running = await start(max_connections_per_client=2)
    busy = await keep_busy(running, 2)
    (rejected,) = await running.exchange(GET)
    assert (rejected.status, rejected.json["error"]) == (503, "client 127.0.0.1: too many connections")
    assert rejected.headers["retry-after"] == "1"
    other = await running.connect(OTHER)
    await other.send(GET)
    assert (await other.receive()).status == 200
    running.app.proceed.set()
    assert [(await client.receive()).status for client in busy] == [200, 200]


async def test_a_client_at_its_limit_loses_the_connection_that_was_idle_for_longest(start: Start) -> None:
    running = await start(max_connections_per_client=3)
    (busy,) = await keep_busy(running, 1)
    first, second = await running.connect(), await running.connect()
    for client in (second, first):
        await client.send(GET)
        await client.receive()
    last = await running.connect()
    assert await second.read_until_closed() == b""
    for client in (first, last):
        await client.send(GET)
        assert (await client.receive()).status == 200
    running.app.proceed.set()
    assert (await busy.receive()).status == 200


async def test_each_of_many_connections_that_arrive_at_once_replaces_an_idle_one(start: Start) -> None:
    running = await start(max_connections_per_client=3)
    idle = [await running.connect() for _ in range(3)]
    for client in idle:
        await client.send(GET)
        await client.receive()
    with contextlib.ExitStack() as stack:
        # These block, so that the server accepts all of them in one turn of the event loop.
        new = [stack.enter_context(socket.create_connection((ADDRESS, running.port))) for _ in range(3)]
        assert [await client.read_until_closed() for client in idle] == [b"", b"", b""]
        for connection in new:
            connection.setblocking(False)
            with pytest.raises(BlockingIOError):  # open
                connection.recv(1)


async def test_a_full_server_closes_the_idle_connection_of_another_client_for_a_new_one(start: Start) -> None:
    running = await start(max_connections=2)
    idle = await running.connect(OTHER)
    await idle.send(GET)
    await idle.receive()
    (busy,) = await keep_busy(running, 1)
    assert (await running.get()).status == 200
    assert await idle.read_until_closed() == b""
    busy.abort()


async def test_a_full_server_whose_clients_all_wait_for_responses_rejects_a_new_one(start: Start) -> None:
    running = await start(max_connections=2)
    await keep_busy(running, 2)
    other = await running.connect(OTHER)
    assert (await other.receive()).status == 503
    assert await other.read_until_closed() == b""


async def test_a_connection_that_is_lost_does_not_count(start: Start) -> None:
    running = await start(max_connections=1)
    (busy,) = await keep_busy(running, 1)
    assert (await running.get()).status == 503
    busy.abort()
    running.app.proceed.set()  # its request is finished nevertheless
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while (await running.get()).status != 200:
            pass


async def test_a_client_that_is_gone_before_its_response_leaves_no_error_behind(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    running = await start()
    for _ in range(20):
        client = await running.connect()
        await client.send(WAIT.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await running.app.wait_requests(1)
        client.abort()
        await asyncio.sleep(0)
        running.app.requests.clear()
        running.app.proceed.set()
        assert (await running.get()).status == 200
        running.app.proceed.clear()
        running.app.requests.clear()
    gc.collect()
    assert [record.getMessage() for record in caplog.records] == []


# Memory


async def test_bodies_share_a_budget_of_which_small_ones_need_nothing(start: Start) -> None:
    running = await start(memory_bytes=16 * MIB, max_body_bytes=MIB, max_response_bytes=MIB)
    first, second = await running.connect(), await running.connect()
    head = POST + b"Content-Length: %d\r\n\r\n" % MIB
    await first.send(head + bytes(MIB - 1))
    await wait_buffered(running)
    await second.send(head + bytes(MIB - 1))
    rejected = await second.receive()
    assert (rejected.status, rejected.headers["retry-after"], rejected.closes) == (503, "1", True)
    assert "use all memory for bodies" in rejected.json["error"]
    small = await running.exchange(POST + b"Connection: close\r\nContent-Length: 65536\r\n\r\n" + bytes(65536))
    assert small[0].status == 200
    await first.send(b"\0")
    assert (await first.receive()).status == 200
    await first.send(head + bytes(MIB))
    assert (await first.receive()).status == 200


async def test_the_bodies_of_requests_that_wait_for_the_answer_before_them_need_it_however_small(
    start: Start,
) -> None:
    running = await start()
    client = await running.connect()
    await client.send(WAIT + (POST + b"Content-Length: 1000\r\n\r\n" + b"x" * 1000) * 3)
    await running.app.wait_requests(1)
    assert running.server._buffered == 3000
    running.app.proceed.set()
    assert [(await client.receive()).status for _ in range(4)] == [200] * 4
    assert running.server._buffered == 0


async def wait_buffered(running: Running) -> None:
    """Wait until a body of almost 1 MiB is held: another one of half of it is rejected then."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            probe = await running.connect(OTHER)
            await probe.send(POST + b"Content-Length: 524288\r\n\r\n" + bytes(524288))
            if (await probe.receive()).status == 503:
                return


@pytest.mark.parametrize("more", [GET, GET[:20], POST + b"Content-Length: 9\r\n\r\n123"])
async def test_a_client_that_does_not_wait_for_its_answer_is_read_no_further(start: Start, more: bytes) -> None:
    """Small bodies, and what is not parsed yet, count against no limit: each connection may hold one read of them."""
    running = await start()
    client = await running.connect()
    await client.send(WAIT + more)
    await running.app.wait_requests(1)
    (connection,) = running.server._connections
    assert not connection._transport.is_reading()
    running.app.proceed.set()
    assert (await client.receive()).status == 200
    await wait_until(lambda: connection._transport.is_reading() and connection.idle)


@pytest.mark.parametrize(("count", "status"), [(255, 200), (256, 431), (5000, 431)])
async def test_headers_are_bounded_in_number(start: Start, count: int, status: int) -> None:
    running = await start()
    answers = await running.exchange(GET[:-2] + b"a:\r\n" * (count - 1) + b"Connection: close\r\n\r\n")
    assert [answer.status for answer in answers] == [status]
    if status == 431:
        assert answers[0].json["error"] == "headers: got more, expected at most 256"


async def test_trailers_are_bounded(start: Start) -> None:
    running = await start(max_header_bytes=1024, body_timeout_seconds=20.0)
    client = await running.connect()
    await client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
    await wait_until(lambda: any(connection._parser.in_body for connection in running.server._connections))
    await client.send(b"X-More: " + b"a" * 2000)
    answer = await client.receive()
    assert (answer.status, answer.json["error"]) == (431, "trailers: got more bytes, expected at most 1024")


async def test_a_body_in_many_parts_is_not_taken_for_trailers(start: Start) -> None:
    running = await start(max_header_bytes=1024)
    client = await running.connect()
    for _ in range(2):
        await client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(1000):
            await client.send(b"1\r\nx\r\n")
        # the rest of one request, with one that has begun
        await client.send(b"0\r\n\r\n" + POST + b"Content-Length: 3\r\n\r\n")
        await client.send(b"123")
        assert [(await client.receive()).json["body"] for _ in range(2)] == ["x" * 100, "123"]


async def test_the_memory_of_a_connection_that_is_lost_is_released(start: Start) -> None:
    running = await start(memory_bytes=16 * MIB, max_body_bytes=MIB, max_response_bytes=MIB)
    head = POST + b"Content-Length: %d\r\n\r\n" % MIB
    lost = await running.connect()
    await lost.send(head + bytes(MIB - 1))
    await wait_buffered(running)
    lost.abort()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while (await running.exchange(head + bytes(MIB), half_close=True))[0].status != 200:
            pass


async def test_the_memory_of_a_body_that_is_rejected_is_released_before_its_client_is_gone(start: Start) -> None:
    running = await start(memory_bytes=16 * MIB, max_body_bytes=MIB, max_response_bytes=MIB, body_timeout_seconds=0.5)
    head = POST + b"Content-Length: %d\r\n\r\n" % MIB
    incomplete = await running.connect(OTHER)
    await incomplete.send(head + bytes(MIB - 1))
    assert (await incomplete.receive()).status == 408
    (received,) = await running.exchange(head + bytes(MIB), half_close=True)
    assert received.status == 200


async def test_responses_that_nobody_reads_share_a_budget(start: Start) -> None:
    running = await start(memory_bytes=16 * MIB, max_response_bytes=LARGE)
    ask = GET.replace(b"/", b"/bytes/%d" % LARGE, 1)
    slow = await running.connect(receive_buffer=65536)
    await slow.send(ask)
    assert await slow.read_some(1) == b"H"
    rejected = await running.connect(OTHER)
    await rejected.send(ask + GET)
    received = await rejected.receive()
    assert (received.status, received.headers["retry-after"]) == (503, "1")
    assert "use all memory" in received.json["error"]
    assert (await rejected.receive()).status == 503  # every response needs some
    assert len(await read_count(slow, LARGE)) >= LARGE
    await rejected.send(GET)
    assert (await rejected.receive()).status == 200


async def read_count(client: Client, count: int) -> bytes:
    content = bytearray()
    while len(content) < count:
        content += await client.read_some(1 << 20)
    return bytes(content)


# Time


async def test_an_idle_connection_is_closed_without_a_response(start: Start) -> None:
    running = await start(idle_timeout_seconds=0.1)
    silent, used = await running.connect(), await running.connect()
    await used.send(GET)
    assert (await used.receive()).status == 200
    assert [await client.read_until_closed() for client in (silent, used)] == [b"", b""]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"G", "headers: got an incomplete request within 0.1 s, expected all of it"),
        (GET[:-2], "headers: got an incomplete request within 0.1 s, expected all of it"),
        (POST + b"Content-Length: 5\r\n\r\n", "body: got an incomplete request within 0.2 s, expected all of it"),
        (POST + b"Content-Length: 5\r\n\r\nhell", "body: got an incomplete request within 0.2 s, expected all of it"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "body: got an incomplete request within 0.2 s, "),
    ],
)
@pytest.mark.parametrize("before", [b"", GET], ids=["first", "second"])
async def test_an_incomplete_request_times_out(start: Start, content: bytes, problem: str, before: bytes) -> None:
    running = await start(header_timeout_seconds=0.1, body_timeout_seconds=0.2)
    *answered, received = await running.exchange(before + content)
    assert [response.status for response in answered] == ([200] if before else [])
    assert (received.status, received.closes) == (408, True)
    assert received.json["error"].startswith(problem)


async def test_bytes_that_dribble_do_not_extend_a_timeout(start: Start) -> None:
    running = await start(header_timeout_seconds=0.2, body_timeout_seconds=0.2)
    for begin in (b"GET / HTTP/1.1\r\nX: ", POST + b"Content-Length: 900\r\n\r\n"):
        client = await running.connect()
        await client.send(begin)
        receiving = asyncio.create_task(client.receive())
        while not receiving.done():
            await client.send(b"x")
            await asyncio.sleep(0.02)
        assert receiving.result().status == 408


async def test_no_timeout_of_requests_applies_while_a_response_is_awaited(start: Start) -> None:
    running = await start(idle_timeout_seconds=0.1, header_timeout_seconds=0.1, body_timeout_seconds=0.1)
    (busy,) = await keep_busy(running, 1)
    await asyncio.sleep(0.4)
    running.app.proceed.set()
    assert (await busy.receive()).status == 200


async def test_a_client_that_does_not_read_is_reset(start: Start) -> None:
    running = await start(write_timeout_seconds=0.2, max_response_bytes=LARGE)
    slow = await running.connect(receive_buffer=65536)
    await slow.send(GET.replace(b"/", b"/bytes/%d" % LARGE, 1))
    await running.app.wait_requests(1)
    await wait_until(slow.is_closed)
    assert len(await slow.read_until_closed()) < LARGE
    assert (await running.get()).status == 200


async def test_a_client_that_reads_slowly_but_fast_enough_gets_everything(start: Start) -> None:
    running = await start(write_timeout_seconds=0.2, max_response_bytes=LARGE)
    slow = await running.connect(receive_buffer=65536)
    await slow.send(GET.replace(b"/", b"/bytes/%d" % LARGE, 1))
    received = 0
    while received < LARGE:
        part = await slow.read_some(1 << 18)
        assert part, f"closed after {received} bytes"
        received += len(part)
        await asyncio.sleep(0.005)
