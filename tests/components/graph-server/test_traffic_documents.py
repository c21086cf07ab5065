"""Documents of traffic at a real server: signed, in order, one window after the other, or from a file."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fairlead_contracts.traffic import MAX_ROUTES, PATH, TrafficDocument, sign

from tests.support.traffic import RawServer, Split, environment, http_answer, route

LEAF = {"name": "only", "type": "MODEL", "implementation": "SIMPLE_MODEL"}
MESSAGE = {"data": {"ndarray": [[1.0]]}}


@pytest.fixture(scope="module")
def server(start: Callable[..., Any], folder: Path) -> Any:
    """Return a ready server."""
    return start(LEAF, **environment(folder, "stable")).wait_ready()


@pytest.fixture(scope="module")
def split(server: Any) -> Split:
    """Return the server's traffic."""
    return Split(server)


@pytest.fixture(scope="module")
def candidate() -> Iterator[Callable[..., dict[str, Any]]]:
    """Return a function that makes a route to a server that answers."""
    with RawServer(http_answer(b'{"other": true}')) as other:
        yield lambda **shares: route(other.port, **shares)


def test_a_document_is_accepted_once_and_in_order(server: Any, split: Split, candidate: Any) -> None:
    split.set()
    facts = split.set(candidate(percent=10))
    document = {
        "revision": "stable", "generation": facts.generation, "window": facts.window, "routes": [candidate(percent=10)]
    }  # fmt: skip
    server.predict(MESSAGE)
    assert split.put(document).status == 200
    assert split.facts().own.requests + split.counts().requests == 1  # nothing was reset
    other = split.put(document | {"routes": []})
    assert (other.status, other.json["generation"]) == (409, facts.generation)
    assert "generation: got" in other.json["error"]
    older = split.put(document | {"generation": facts.generation - 1})
    assert (older.status, older.json["generation"]) == (409, facts.generation)
    stranger = split.put(document | {"generation": facts.generation + 1, "revision": "next"})
    assert (stranger.status, stranger.json["error"]) == (409, "revision: got 'next', expected 'stable'")
    assert split.facts().generation == facts.generation


def test_counts_are_kept_in_a_window_and_begin_with_the_next(server: Any, split: Split, candidate: Any) -> None:
    window = split.set(candidate(percent=100)).window
    server.predict(MESSAGE)
    split.set(candidate(percent=100), window=window)
    server.predict(MESSAGE)
    assert split.counts().requests == 2
    facts = split.set(candidate(percent=100))
    assert (facts.window, facts.routes[0].counts.requests) == (facts.generation, 0)


def test_a_request_that_outlives_its_window_is_counted_in_the_next(server: Any, split: Split) -> None:
    # else a candidate that hangs for longer than an interval would have no errors at all
    with RawServer() as slow, ThreadPoolExecutor(1) as pool:
        split.set(route(slow.port, percent=100))
        waiting = pool.submit(server.predict, MESSAGE)
        slow.wait_asked()
        split.set(route(slow.port, percent=100))
        slow.release(http_answer(b"{}", "500 Error"))
        assert waiting.result().status == 500
    assert (split.counts().requests, split.counts().errors) == (1, 1)


def test_a_copy_that_outlives_its_window_is_counted_in_the_next(server: Any, split: Split) -> None:
    with RawServer() as slow:
        split.set(route(slow.port, mirrorPercent=100))
        server.predict(MESSAGE)
        slow.wait_asked()
        split.set(route(slow.port, mirrorPercent=100))
        slow.release(http_answer(b"{}", "500 Error"))
        server.wait(lambda: split.facts_of().mirrored.errors == 1)
    assert split.facts_of().agreement.compared == 1


def test_only_the_signature_of_the_key_counts(server: Any, split: Split, candidate: Any) -> None:
    document = {"revision": "stable", "generation": 1000, "routes": [candidate(percent=100)]}
    before = split.facts()
    for signature in ("", "0" * 64, "é"):
        answer = split.put(document, signature)
        assert answer.status == 403
        assert answer.json == {"error": "header Fairlead-Signature: expected the signature of the body"}
    assert split.facts() == before


def test_a_new_key_in_the_file_is_accepted_without_a_restart(start: Any, tmp_path: Path) -> None:
    variables = environment(tmp_path, "stable")
    server = start(LEAF, **variables).wait_ready()
    body, new = json.dumps({"revision": "stable", "generation": 1}).encode(), b"a key that was made later"
    signature = sign(new, body)
    assert Split(server).put(body, signature).status == 403
    (tmp_path / "traffic.key").write_text("nothing")
    assert Split(server).put(body, signature).status == 403
    (tmp_path / "traffic.key").write_text(new.hex())
    assert Split(server).put(body, signature).status == 200
    assert Split(server).put(body).status == 403  # the old key is none any more


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"nothing", 400, "traffic.json: got invalid JSON"),
        (b"{}", 400, "revision: got nothing, expected a value"),
        ({"revision": "stable", "generation": 5000, "routes": [route(0)]}, 400, "routes[0].port: got 0, expected at"),
        ({"revision": "stable", "generation": 5000, "routes": [route(1)] * (MAX_ROUTES + 1)}, 400, "routes: got"),
        (b" " * (TrafficDocument.max_bytes + 1), 413, "body: got 65537 bytes, expected at most 65536"),
    ],
)
def test_an_invalid_document_is_rejected(split: Split, body: Any, status: int, words: str) -> None:
    before = split.facts()
    answer = split.put(body)
    assert answer.status == status
    assert answer.json["error"].startswith(words)
    assert split.facts() == before


def test_other_methods_are_rejected_at_the_path(server: Any, split: Split) -> None:
    assert server.request("DELETE", PATH, None).status == 405
    assert server.post(PATH, {}).status == 404


def test_a_server_without_a_key_has_no_such_path(start: Any, folder: Path) -> None:
    server = start(LEAF, FAIRLEAD_REVISION="stable").wait_ready()
    assert server.get(PATH).status == 404
    assert Split(server).put({"revision": "stable", "generation": 1}).status == 405


def test_a_document_is_in_force_from_the_start(start: Any, folder: Path, candidate: Any) -> None:
    file = folder / "traffic.json"
    document = {"revision": "late", "generation": 7, "window": 3, "routes": [candidate(percent=100)]}
    file.write_text(json.dumps(document))
    server = start(LEAF, **environment(folder, "late", FAIRLEAD_TRAFFIC_FILE=str(file))).wait_ready()
    facts = Split(server, "late").facts()
    assert (facts.generation, facts.window, facts.routes[0].name) == (7, 3, "candidate")
    assert server.predict(MESSAGE).json == {"other": True}
