"""The rules of split traffic, without servers: percentages, clients, counts, bounds, settings."""

import asyncio
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fairlead_contracts.traffic import BOUNDS, Route, Sticky, TrafficDocument
from fairlead_graph.errors import InvalidGraph
from fairlead_graph.protocols import open_inference_pb2 as pb
from fairlead_graph.settings import TrafficSettings, read_settings
from fairlead_graph.traffic.control import Control
from fairlead_graph.traffic.counting import Comparisons, Counting
from fairlead_graph.traffic.flight import Flight, Passage, RouteFailed
from fairlead_graph.traffic.grpc_side import names_version
from fairlead_graph.traffic.http_sender import build_headers
from fairlead_graph.traffic.http_side import find_client
from fairlead_graph.traffic.metrics import RouteMetrics
from fairlead_graph.traffic.split import Conflict, Traffic
from fairlead_graph.traffic.table import Rotation, Table
from fairlead_serving.errors import Code
from fairlead_serving.limits import Limits
from fairlead_serving.messages import Request
from prometheus_client import CollectorRegistry

from tests.support.traffic import KEY, environment

CLIENTS = [f"client-{number}".encode() for number in range(4000)]


def route(name: str, percent: float = 0, mirror_percent: float = 0) -> Route:
    return Route(name=name, host="h", port=1, grpc_port=2, percent=percent, mirror_percent=mirror_percent)


def choose_all(table: Table) -> dict[bytes, str | None]:
    chosen = {client: table.choose_for(client) for client in CLIENTS}
    return {client: route.name if route else None for client, route in chosen.items()}


@pytest.mark.parametrize("start", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("count", [10, 100, 1000, 10_000])
def test_percentages_hold_for_few_requests(start: float, count: int) -> None:
    table, rotation = Table([route("a", 10), route("b", 25.5)]), Rotation(start)
    chosen = Counter(found.name if (found := table.choose(rotation.take())) else "own" for _ in range(count))
    # 3 + 3.53 ln n bounds the error for the golden ratio (Kuipers and Niederreiter, theorem 2.3.4);
    # an interval is the difference of two that begin at 0
    bound = 2 * (3 + 3.53 * np.log(count))
    for name, share in (("a", 0.1), ("b", 0.255), ("own", 0.645)):
        assert abs(chosen[name] - count * share) <= bound


def test_percentages_hold_for_clients_that_alternate() -> None:
    table, rotation = Table([route("a", 20)]), Rotation(0.0)
    for period in (2, 3, 5, 10):
        chosen = [table.choose(rotation.take()) is not None for _ in range(1000 * period)]
        for phase in range(period):
            assert abs(sum(chosen[phase::period]) - 200) <= 2 * (3 + 10 * np.log(1000))


def test_all_or_nothing_is_exact() -> None:
    rotation = Rotation(0.5)
    everything, nothing = Table([route("a", 100)]), Table([route("a", 0)])
    for _ in range(1000):
        found = everything.choose(rotation.take())
        assert found is not None
        assert nothing.choose(rotation.take()) is None
    assert set(choose_all(everything).values()) == {"a"}
    assert set(choose_all(nothing).values()) == {None}


def test_clients_have_the_shares_of_the_percentages() -> None:
    shares = Counter(choose_all(Table([route("a", 10), route("b", 30)])).values())
    # the clients are the same in each run: these are facts of the hash, not of chance
    assert abs(shares["a"] - 400) < 60
    assert abs(shares["b"] - 1200) < 90


def test_clients_stay_at_a_route_whose_percentage_rises() -> None:
    at = {percent: choose_all(Table([route("a", percent)])) for percent in (0, 10, 20, 50, 100)}
    for less, more in ((0, 10), (10, 20), (20, 50), (50, 100)):
        assert all(at[more][client] == "a" for client in CLIENTS if at[less][client] == "a")


def test_a_rising_percentage_only_draws_clients_to_its_route() -> None:
    before = choose_all(Table([route("a", 10), route("b", 10)]))
    after = choose_all(Table([route("a", 30), route("b", 10)]))
    assert all(after[client] in (before[client], "a", "b") for client in CLIENTS)
    assert all(after[client] == "a" for client in CLIENTS if before[client] == "a")
    swapped = choose_all(Table([route("b", 10), route("a", 10)]))
    assert swapped == before


def test_a_client_is_known_by_a_header_or_a_cookie() -> None:
    headers = {b"x-user": b"eva", b"cookie": b"a=1; session=s=2;b", b"session": b"no"}

    def header(name: bytes) -> bytes:
        return headers.get(name, b"")

    assert find_client(Sticky(header="X-User"), header) == b"eva"
    assert find_client(Sticky(header="X-Other"), header) == b""
    assert find_client(Sticky(cookie="session"), header) == b"s=2"
    assert find_client(Sticky(cookie="Session"), header) == b""


def test_only_what_says_something_about_the_server_is_counted() -> None:
    counting = Counting()
    for code in Code:
        counting.observe(code, 0.01)
    facts = counting.to_contract()
    assert (facts.requests, facts.errors) == (len(Code) - 2, len(Code) - 3)  # all but INVALID and NOT_FOUND
    assert sum(facts.latency) == facts.requests


def test_latencies_are_counted_up_to_their_bounds() -> None:
    counting = Counting()
    for seconds in (0.0, BOUNDS[0], BOUNDS[0] * 1.01, BOUNDS[-1], BOUNDS[-1] * 1.01):
        counting.observe(Code.OK, seconds)
    latency = counting.to_contract().latency
    assert (latency[0], latency[1], latency[-2], latency[-1]) == (2, 1, 1, 1)


def test_distances_without_a_number_are_none() -> None:
    comparisons = Comparisons()
    for distance in (0.5, float("inf"), float("nan"), 0.25):
        comparisons.observe(True, distance)
    assert comparisons.to_contract().max_distance == 0.5


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"model_name": "m"}, False),
        ({"model_name": "m", "model_version": "1"}, True),
        ({"model_version": "1"}, True),
        ({"model_name": "m" * 300, "model_version": "1"}, True),
        ({"model_name": "m" * 300, "id": "1"}, False),
        ({}, False),
    ],
)
def test_a_call_for_a_version_is_recognized(fields: dict[str, str], named: bool) -> None:
    assert names_version(pb.ModelInferRequest(**fields).SerializeToString()) is named


def test_bytes_that_are_no_message_name_no_version() -> None:
    for message in (b"\n", b"\n\xff", b"\n\xff\xff\xff\xff\xff\xff", b"\x12", b"\x12\0", b"\n\x05ab"):
        assert names_version(message) is False


def test_headers_of_the_connection_are_not_passed_on() -> None:
    headers = [
        (b"host", b"a"), (b"connection", b"close, X-Hop"), (b"x-hop", b"1"), (b"x-id", b"7"), (b"content-length", b"5"),
        (b"transfer-encoding", b"chunked"), (b"expect", b"100-continue"), (b"fairlead-forwarded", b"0"),
        (b"fairlead-route", b"own"), (b"seldon-puid", b"old"), (b"x-latin", b"\xe9"), (b"accept-encoding", b"gzip"),
    ]  # fmt: skip
    request = Request("POST", "/", headers, b"")
    changes = {"Seldon-Puid": "new", "Accept-Encoding": "", "Fairlead-Forwarded": "1"}
    assert build_headers(request, changes.items()) == [
        ("x-id", "7"), ("Seldon-Puid", "new"), ("Fairlead-Forwarded", "1"),
    ]  # fmt: skip


def test_a_flight_is_bounded_in_number_and_bytes() -> None:
    flight = Flight(max_count=2, max_bytes=100)
    assert flight.has_space(1000)  # alone
    first = Passage("a", flight, 60, max_answer=1000)
    assert flight.has_space(40)
    assert not flight.has_space(41)
    second = Passage("a", flight, 40, max_answer=1000)
    assert not flight.has_space(0)
    with pytest.raises(RouteFailed, match="use all memory") as caught:
        second.reserve(1)
    assert caught.value.code is Code.UNAVAILABLE
    second.leave()
    first.reserve(900)  # alone
    with pytest.raises(RouteFailed, match="answered with more than 1000 bytes") as caught:
        first.reserve(101)
    assert caught.value.code is Code.BAD_NODE
    first.leave()
    assert (flight.count, flight.bytes) == (0, 0)


def test_traffic_needs_a_revision_and_a_key(tmp_path: Path) -> None:
    variables = environment(tmp_path, "stable", FAIRLEAD_TRAFFIC_FILE="/t.json")
    found = read_settings(variables).traffic
    assert found == TrafficSettings("stable", KEY, Path("/t.json"), tmp_path / "traffic.key")
    assert KEY.decode() not in repr(found)
    assert KEY.hex() not in repr(found)
    for missing in ("FAIRLEAD_REVISION", "FAIRLEAD_KEY_FILE"):
        assert read_settings({key: value for key, value in variables.items() if key != missing}).traffic is None


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot be read"), (b"", "a key of 0 bytes"), (b"x" * 5000, "got something else")]
)
def test_a_key_that_is_none_is_an_error_at_start(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "other.key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidGraph, match=words) as caught:
        read_settings({"FAIRLEAD_REVISION": "stable", "FAIRLEAD_KEY_FILE": str(path)})
    assert caught.value.at == "FAIRLEAD_KEY_FILE"


def build_traffic() -> Traffic:
    return Traffic("stable", Limits(), RouteMetrics(CollectorRegistry()))


@pytest.mark.parametrize(
    ("content", "generation"),
    [
        ('{"revision": "stable", "generation": 4}', 4),
        ('{"revision": "other", "generation": 4}', 0),
        ("nothing", 0),
        (" " * (TrafficDocument.max_bytes + 1), 0),
        (None, 0),
    ],
)
def test_a_file_that_is_not_for_the_server_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str | None, generation: int
) -> None:
    async def prepare(_: TrafficDocument) -> None:
        pass

    path, traffic = tmp_path / "traffic.json", build_traffic()
    if content is not None:
        path.write_text(content)
    asyncio.run(Control(traffic, TrafficSettings("stable", KEY, path), prepare).read(path))
    assert traffic.generation == generation
    assert ("the traffic file is not used" in caplog.text) is (not generation and content is not None)


def test_a_route_that_is_gone_has_no_series() -> None:
    registry = CollectorRegistry()
    traffic = Traffic("stable", Limits(), metrics := RouteMetrics(registry))
    traffic.replace(TrafficDocument(revision="stable", generation=1, routes=(route("a", 10), route("b", 20))))
    for name in ("a", "b"):
        metrics.observe_request(name, Code.OK, 0.1)
        metrics.observe_in_flight(name, 1)
        metrics.observe_copy(name, "agreed")
    assert registry.get_sample_value("fairlead_graph_route_percent", {"route": "b"}) == 20
    traffic.replace(TrafficDocument(revision="stable", generation=2, routes=(route("a", 30),)))
    metrics.observe_in_flight("b", 0)  # one that was on its way
    series = {(sample.name, sample.labels.get("route")) for metric in registry.collect() for sample in metric.samples}
    assert {name for _, name in series} == {"a", None}
    assert ("fairlead_graph_route_requests_seconds_count", "a") in series
    assert registry.get_sample_value("fairlead_graph_traffic_generation") == 2


def test_what_the_operator_says_replaces_what_a_file_said() -> None:
    traffic = build_traffic()
    first = TrafficDocument(revision="stable", generation=3, routes=(route("a", 10),))
    traffic.replace(first, provisional=True)
    traffic.replace(other := TrafficDocument(revision="stable", generation=3, window=5))
    assert (traffic.document, traffic.active) == (other, False)
    traffic.replace(other)
    with pytest.raises(Conflict, match="generation: got 3 and other content"):
        traffic.replace(first)
    with pytest.raises(Conflict, match="generation: got 2, expected at least 3"):
        traffic.replace(first.model_copy(update={"generation": 2}))
