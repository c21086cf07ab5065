"""A cluster-wide installation warns of others that work on some of its namespaces."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from fairlead.handlers import neighbors
from fairlead.handlers.neighbors import find_renewed, read_claims, warn_of_neighbors

from tests.support.scripted_api import Object, ScriptedApi, scripted_client


def lease(namespace: str, holder: str | None, renewed: str) -> Object:
    return {"metadata": {"namespace": namespace}, "spec": {"holderIdentity": holder, "renewTime": renewed}}


def page(*leases: Object) -> Object:
    return {"metadata": {"resourceVersion": "1"}, "items": list(leases)}


def test_only_claims_of_others_count() -> None:
    leases: list[Any] = [
        lease("kube-system", "system/operator", "1"), lease("a", "other/operator", "1"), lease("b", "", "1"),
        lease("c", None, "1"), {"metadata": {"namespace": "d"}},
    ]  # fmt: skip
    assert read_claims(leases, "system/operator") == {"a": ("other/operator", "1")}


@pytest.mark.parametrize(
    ("before", "now", "expected", "reason"),
    [
        ({}, {"a": ("o", "1")}, set(), "it may have ended long ago"),
        ({"a": ("o", "1")}, {"a": ("o", "1")}, set(), "nobody renews it"),
        ({"a": ("o", "1")}, {"a": ("o", "2")}, {"a"}, "it was renewed"),
        ({"a": ("o", "1")}, {"a": ("p", "2")}, {"a"}, "another one took it over"),
        ({"a": ("o", "1")}, {}, set(), "it is free"),
    ],
)
def test_a_claim_counts_while_it_is_renewed(before: Any, now: Any, expected: set[str], reason: str) -> None:
    assert find_renewed(before, now) == expected, reason


async def test_each_namespace_is_warned_of_once_and_an_error_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(neighbors, "_LOOK_SECONDS", 0.01)
    pages: list[Any] = [page(lease("a", "other/operator", str(number))) for number in range(4)]
    api = ScriptedApi(lists=[web.Response(status=403), *pages, page()])
    async with scripted_client(api) as kube:
        looking = asyncio.create_task(warn_of_neighbors(kube, "system/operator"))
        async with asyncio.timeout(30):
            while len(api.requests) < 7:  # noqa: ASYNC110 - the API sets no event
                await asyncio.sleep(0.01)
        looking.cancel()
    messages = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert messages[0].startswith("the leases fairlead-scope cannot be listed: 403")
    assert messages[1:] == [
        "another installation, other/operator, works on the namespace a, too: see its lease fairlead-scope"
    ]
    assert {query["fieldSelector"] for query in api.asked(watch=False)} == {"metadata.name=fairlead-scope"}
