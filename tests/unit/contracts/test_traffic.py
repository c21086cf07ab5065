"""The traffic document and the facts about it: the operator and the graph server read what the other wrote."""

import json
from typing import Any

import pytest
from fairlead_contracts.errors import ContractError
from fairlead_contracts.traffic import (
    BOUNDS,
    MAX_ROUTES,
    Counts,
    Route,
    RouteFacts,
    Sticky,
    TrafficDocument,
    TrafficFacts,
    is_signed,
    parse_key,
    quantile,
    sign,
)

ROUTE = Route(name="candidate", host="digits-candidate.ml.svc", port=8080, grpc_port=8081, percent=12.5)
DOCUMENT = TrafficDocument(revision="a1", generation=3, window=7, routes=(ROUTE,), sticky=Sticky(header="X-User"))


def counted(*seconds: float, errors: int = 0) -> Counts:
    buckets = [0] * (len(BOUNDS) + 1)
    for value in seconds:
        buckets[next((index for index, bound in enumerate(BOUNDS) if value <= bound), len(BOUNDS))] += 1
    return Counts(requests=len(seconds), errors=errors, latency=tuple(buckets))


def test_documents_and_facts_are_read_back() -> None:
    assert TrafficDocument.parse_json(json.dumps(DOCUMENT.to_json()), "traffic.json") == DOCUMENT
    assert DOCUMENT.to_json()["sticky"] == {"header": "X-User"}
    facts = TrafficFacts(
        server="s1", revision="a1", generation=3, window=7, own=counted(0.1),
        routes=(RouteFacts(name="candidate", counts=counted(2, errors=1)),),
    )  # fmt: skip
    assert TrafficFacts.parse_json(json.dumps(facts.to_json()), "facts") == facts


def test_the_largest_facts_are_within_the_bound() -> None:
    full = Counts(requests=2**53 - 1, errors=2**53 - 1, latency=(2**53 - 1,) * (len(BOUNDS) + 1))
    routes = tuple(RouteFacts(name=f"{index:063}", counts=full, mirrored=full) for index in range(MAX_ROUTES))
    facts = TrafficFacts(server="s", revision="r", generation=1, window=1, own=full, routes=routes)
    assert TrafficFacts.parse_json(json.dumps(facts.to_json()), "facts") == facts


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"generation": 0}, "generation"),
        ({"schema": "fairlead.dev/traffic/v2"}, "schema"),
        ({"routes": [{**ROUTE.to_json(), "percent": 101}]}, r"routes\[0\].percent: got 101.*at most 100"),
        ({"routes": [{**ROUTE.to_json(), "percent": float("nan")}]}, "percent"),
        ({"routes": [{**ROUTE.to_json(), "host": "a/b?c"}]}, r"routes\[0\].host"),
        ({"routes": [{**ROUTE.to_json(), "percent": 60, "name": name} for name in "ab"]}, "120 percent in sum"),
        ({"routes": [ROUTE.to_json()] * 2}, "2 named candidate"),
        ({"routes": [{**ROUTE.to_json(), "name": str(index)} for index in range(17)]}, "at most 16 items"),
        ({"sticky": {}}, "neither"),
        ({"sticky": {"header": "a", "cookie": "b"}}, "both"),
        ({"sticky": {"header": "a b"}}, "sticky.header"),
    ],
)
def test_invalid_documents_are_rejected(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ContractError, match=words):
        TrafficDocument.parse_json(json.dumps(DOCUMENT.to_json() | change), "traffic.json")


def test_a_quantile_is_at_most_ten_percent_too_high() -> None:
    counts = counted(*[0.01] * 98, 0.5, 0.6)
    assert 0.01 <= (quantile(counts, 0.5) or 0) <= 0.011
    assert 0.5 <= (quantile(counts, 0.99) or 0) <= 0.55
    assert quantile(Counts(), 0.99) is None
    assert quantile(counted(1e9), 0.99) == float("inf")


def test_a_document_counts_only_with_the_signature_of_its_key() -> None:
    signature = sign(b"key", b"body")
    assert is_signed(b"key", b"body", signature)
    assert not is_signed(b"other", b"body", signature)
    assert not is_signed(b"key", b"body2", signature)
    assert not is_signed(b"key", b"body", "é")


def test_a_key_is_hexadecimal_digits_and_never_in_an_error() -> None:
    assert parse_key(b"0123456789abcdef0123456789ABCDEF\n", "key") == bytes.fromhex("0123456789abcdef" * 2)
    for content, words in ((b"secret", "something else"), (b"\xff", "something else"), (b"0123", "a key of 2 bytes")):
        with pytest.raises(ContractError, match=f"^key: got {words}, expected ") as caught:
            parse_key(content, "key")
        assert "secret" not in str(caught.value)
