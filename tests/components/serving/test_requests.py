"""Requests: what is parsed, what is rejected and never reaches the application, and in which order answers come."""

from collections.abc import Awaitable, Callable

import pytest

from tests.components.serving.tiny_app import Running

Start = Callable[..., Awaitable[Running]]
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


async def test_a_request_reaches_the_application_whole(start: Start) -> None:
    running = await start()
    client = await running.connect()
    await client.send(POST + b"X-Some: A\r\nContent-Length: 5\r\n\r\nhello")
    received = await client.receive()
    assert (received.status, received.json) == (200, {"method": "POST", "path": "/echo", "body": "hello"})
    (request,) = running.app.requests
    assert (request.header(b"x-some"), request.header(b"x-other")) == (b"A", b"")


async def test_an_error_in_the_program_is_an_answer_and_the_connection_goes_on(start: Start) -> None:
    running = await start()
    client = await running.connect()
    await client.send(GET.replace(b"/", b"/broken", 1))
    received = await client.receive()
    assert (received.status, received.json) == (500, {"error": "internal error; see the server's log"})
    await client.send(GET)
    assert (await client.receive()).status == 200


TARGETS = [
    (b"/a/b?c=/d", "/a/b", "the query is removed"),
    (b"/a%20b%2Fc", "/a b/c", "escapes are decoded"),
    (b"http://other/a?b", "/a", "the absolute form, which proxies use"),
    (b"http://other", "/", "the absolute form without a path"),
    (b"*", "*", "the asterisk form"),
]


@pytest.mark.parametrize(("target", "path", "reason"), TARGETS, ids=[reason for *_, reason in TARGETS])
async def test_a_target_is_decoded_to_a_path(start: Start, target: bytes, path: str, reason: str) -> None:
    running = await start()
    await running.exchange(b"OPTIONS " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert [request.path for request in running.app.requests] == [path]


INVALID = [
    (b"GET / HTTP/1.1\r\n\r\n", 400, "header Host: got 0 of them, expected one"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400, "header Host: got 2 of them, expected one"),
    (b"GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", 400, "header Host: got 2 of them, expected one"),
    (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "invalid HTTP"),
    (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400, "invalid HTTP"),
    (POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400, "invalid HTTP"),
    (POST + b"Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello", 400, "invalid HTTP"),
    (POST + b"Content-Length: +5\r\n\r\nhello", 400, "invalid HTTP"),
    (POST + b"Content-Length: -1\r\n\r\n", 400, "invalid HTTP"),
    (POST + b"Content-Length: \xb2\r\n\r\n", 400, "invalid HTTP"),
    (POST + b"Content-Length: 5 5\r\n\r\nhello", 400, "invalid HTTP"),
    (POST + b"Content-Length : 5\r\n\r\nhello", 400, "invalid HTTP"),
    (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, "header Transfer-Encoding: got"),
    (POST + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "header Transfer-Encoding"),
    (POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400, ""),
    (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400, ""),
    (CHUNKED + b"-1\r\n\r\n0\r\n\r\n", 400, "invalid HTTP"),
    (CHUNKED + b"5\r\nhello, and more\r\n0\r\n\r\n", 400, "invalid HTTP"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA\x00: b\r\n\r\n", 400, "invalid HTTP"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n folded\r\n\r\n", 400, ""),
    (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400, "invalid HTTP"),
    (b"nonsense\r\n\r\n", 400, "invalid HTTP"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "invalid HTTP"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 431, "expected at most 32768"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000, 431, "expected at most 32768"),
    (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431, "expected at most 32768"),
    (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 10_000, 431, "expected at most 256"),
    (POST + b"Content-Length: 1001\r\n\r\n", 413, "body: got 1001 bytes, expected at most 1000"),
    (CHUNKED + b"3e9\r\n" + b"a" * 1001, 413, "body: got more than 1000 bytes, expected at most 1000"),
    (CHUNKED + b"1f4\r\n" + b"a" * 500 + b"\r\n1f5\r\n" + b"a" * 501, 413, "body: got more than 1000 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "status", "problem"), INVALID, ids=range(len(INVALID)))
async def test_an_invalid_request_is_rejected_and_nothing_after_it_is_read(
    start: Start, content: bytes, status: int, problem: str
) -> None:
    running = await start(max_body_bytes=1000)
    (received,) = await running.exchange(content, SMUGGLED)
    assert (received.status, received.closes) == (status, True)
    assert problem in received.json["error"]
    assert running.app.requests == []
    assert (await running.get()).status == 200


async def test_an_invalid_request_is_answered_after_those_before_it(start: Start) -> None:
    running = await start()
    client = await running.connect()
    await client.send(GET.replace(b"/", b"/wait", 1) + b"nonsense\r\n\r\n" + SMUGGLED)
    await running.app.wait_requests(1)
    running.app.proceed.set()
    assert [(await client.receive()).status for _ in range(2)] == [200, 400]
    assert await client.read_until_closed() == b""
    assert [request.path for request in running.app.requests] == ["/wait"]


async def test_chunks_are_joined_and_extensions_and_trailers_ignored(start: Start) -> None:
    running = await start()
    client = await running.connect()
    content = CHUNKED + b"3;name=value\r\nhel\r\n2\r\nlo\r\n0\r\nHost: trailer\r\n\r\n"
    for byte in content:
        await client.send(bytes([byte]))
    assert (await client.receive()).json["body"] == "hello"
    assert [name for name, _ in running.app.requests[0].headers] == [b"host", b"transfer-encoding"]


async def test_pipelined_requests_are_answered_in_order(start: Start) -> None:
    running = await start()
    client = await running.connect()
    await client.send(b"".join(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % name for name in (b"wait", b"b", b"c")))
    await running.app.wait_requests(1)
    running.app.proceed.set()
    assert [(await client.receive()).json["path"] for _ in range(3)] == ["/wait", "/b", "/c"]
    await client.send(GET)
    assert (await client.receive()).status == 200


async def test_more_pipelined_requests_than_allowed_are_not_read(start: Start) -> None:
    running = await start()
    responses = await running.exchange(GET * 40)
    assert len(running.app.requests) == len(responses) == 16
    assert [response.closes for response in responses] == [False] * 15 + [True]


async def test_a_connection_stays_open_unless_the_client_or_its_version_asks_otherwise(start: Start) -> None:
    running = await start()
    client = await running.connect()
    for _ in range(3):
        await client.send(GET)
        assert not (await client.receive()).closes
    assert (await running.get()).closes
    (old,) = await running.exchange(b"GET / HTTP/1.0\r\n\r\n" + SMUGGLED)
    assert (old.status, old.closes) == (200, True)


async def test_a_response_to_head_has_a_length_and_no_body(start: Start) -> None:
    running = await start()
    client = await running.connect()
    await client.send(GET.replace(b"GET", b"HEAD") + GET)
    head = await client.receive(with_body=False)
    get = await client.receive()
    assert int(head.headers["content-length"]) == len(get.body) + 1  # the method's name is repeated in it
    assert get.json["method"] == "GET"


async def test_whole_requests_of_a_client_that_half_closes_are_answered(start: Start) -> None:
    running = await start()
    responses = await running.exchange(GET, GET, half_close=True)
    assert [response.status for response in responses] == [200, 200]

    client = await running.connect()
    await client.send(GET.replace(b"/", b"/wait", 1))
    await running.app.wait_requests(3)
    client.half_close()
    running.app.proceed.set()
    assert (await client.receive()).status == 200


@pytest.mark.parametrize("content", [b"GET", GET[:-2], POST + b"Content-Length: 5\r\n\r\nhell", CHUNKED + b"5\r\nhe"])
async def test_an_incomplete_request_of_a_client_that_half_closes_is_named(start: Start, content: bytes) -> None:
    running = await start()
    (received,) = await running.exchange(content, half_close=True)
    assert (received.status, received.json["error"]) == (400, "the connection was closed within a request")
    assert running.app.requests == []


async def test_a_client_that_expects_to_be_asked_for_its_body_is_asked_unless_it_is_rejected(start: Start) -> None:
    running = await start(max_body_bytes=1000)
    client = await running.connect()
    await client.send(POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert (await client.receive()).status == 100
    await client.send(b"hello")
    assert (await client.receive()).json["body"] == "hello"
    (rejected,) = await running.exchange(POST + b"Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n")
    assert rejected.status == 413


async def test_a_pipelined_client_is_asked_for_its_body_after_the_responses_before_it(start: Start) -> None:
    running = await start()
    client = await running.connect()
    await client.send(GET.replace(b"/", b"/wait", 1) + POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    await running.app.wait_requests(1)
    running.app.proceed.set()
    assert [(await client.receive()).status for _ in range(2)] == [200, 100]
    await client.send(b"hello")
    assert (await client.receive()).json["body"] == "hello"


async def test_an_upgrade_is_answered_as_it_stands_and_nothing_after_it_is_read(start: Start) -> None:
    running = await start()
    upgrade = b"GET /plain HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"
    (received,) = await running.exchange(upgrade + SMUGGLED)
    assert (received.status, received.closes) == (200, True)
    assert [request.path for request in running.app.requests] == ["/plain"]
