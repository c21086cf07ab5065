"""Watches of children with a server that drops connections, hangs, expires versions and loses events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fairlead.kube import client
from fairlead.kube.audit import audit
from fairlead.kube.children import SELECTOR, ChildCache
from fairlead.kube.kinds import POD, TRAINING_JOB, Key
from fairlead.kube.reflector import Reflector
from fairlead.kube.resources import ResourceCache

from tests.support.scripted_api import (
    DROP,
    HANG,
    ScriptedApi,
    bookmark,
    event,
    make_list,
    make_pod,
    scripted_client,
    status,
)
from tests.support.waiting import wait_until
from tests.unit.kube.test_cache import DIGITS, phases


@asynccontextmanager
async def reflecting(api: ScriptedApi, seconds: float = 1.0) -> AsyncIterator[tuple[ChildCache, list[Key]]]:
    changed: list[Key] = []
    cache = ChildCache(changed.append)
    async with scripted_client(api) as kube:
        task = asyncio.create_task(Reflector(kube, cache, POD, None, SELECTOR, seconds=seconds).run())
        try:
            yield cache, changed
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_everything_is_listed_page_by_page_and_then_followed() -> None:
    pages = [make_list(5, make_pod("a", 1), token="next"), make_list(5, make_pod("b", 2))]
    changes = [event("MODIFIED", make_pod("a", 6, "Running")), event("DELETED", make_pod("b", 7)), HANG]
    api = ScriptedApi(lists=pages, watches=[changes])
    async with reflecting(api) as (cache, changed):
        await wait_until(lambda: phases(cache) == {"a": "Running"})
        assert changed == [DIGITS] * 4
    first, second = api.asked(watch=False)
    assert first["labelSelector"] == "app.kubernetes.io/managed-by=fairlead"
    assert second["continue"] == "next"
    (watch,) = api.asked(watch=True)
    assert (watch["resourceVersion"], watch["allowWatchBookmarks"]) == ("5", "true")


async def test_an_expired_continue_token_restarts_the_list() -> None:
    pages = [make_list(5, make_pod("a", 1), token="old"), status(410, "Expired"), make_list(9, make_pod("b", 8))]
    api = ScriptedApi(lists=pages, watches=[[HANG]])
    async with reflecting(api) as (cache, _):
        await wait_until(lambda: phases(cache) == {"b": "Pending"})
    assert "continue" not in api.asked(watch=False)[2]


async def test_a_dropped_watch_lists_again_and_reports_deleted_objects() -> None:
    api = ScriptedApi(
        lists=[make_list(5, make_pod("a", 1), make_pod("b", 2)), make_list(9, make_pod("b", 8, "Running"))],
        watches=[[DROP], [HANG]],
    )
    async with reflecting(api) as (cache, changed):
        await wait_until(lambda: phases(cache) == {"b": "Running"})
        assert len(changed) == 4
        await wait_until(lambda: len(api.asked(watch=True)) == 2)
    assert api.asked(watch=True)[-1]["resourceVersion"] == "9"


async def test_a_silent_watch_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_SILENCE_SECONDS", 0.3)
    api = ScriptedApi(lists=[make_list(5), make_list(7, make_pod("a", 6))], watches=[[HANG]])
    async with reflecting(api, seconds=0.1) as (cache, _):
        await wait_until(lambda: phases(cache) == {"a": "Pending"}, seconds=3)


@pytest.mark.parametrize(
    "gone",
    [status(410, "Expired"), [event("ERROR", {"code": 410, "reason": "Expired"})], [event("ERROR", {"code": 500})]],
    ids=["at the opening", "as an event", "another error"],
)
async def test_an_expired_version_lists_again(gone: object) -> None:
    api = ScriptedApi(lists=[make_list(5), make_list(9, make_pod("a", 8))], watches=[gone, [HANG]])  # type: ignore[list-item]
    async with reflecting(api) as (cache, _):
        await wait_until(lambda: phases(cache) == {"a": "Pending"})


async def test_a_watch_that_ends_continues_after_its_last_bookmark_without_a_list() -> None:
    api = ScriptedApi(lists=[make_list(5)], watches=[[bookmark(50)], [event("ADDED", make_pod("a", 51)), HANG]])
    async with reflecting(api) as (cache, _):
        await wait_until(lambda: phases(cache) == {"a": "Pending"})
    assert [query["resourceVersion"] for query in api.asked(watch=True)] == ["5", "50"]
    assert len(api.asked(watch=False)) == 1


async def test_a_server_that_is_down_is_retried() -> None:
    api = ScriptedApi(lists=[status(403, "Forbidden"), make_list(5, make_pod("a", 1))], watches=[[HANG]])
    async with reflecting(api) as (cache, _):
        await wait_until(lambda: phases(cache) == {"a": "Pending"})


async def test_an_audit_finds_the_event_that_a_watch_lost() -> None:
    api = ScriptedApi(
        lists=[make_list(5, make_pod("a", 1)), make_list(9, make_pod("a", 8, "Running"))], watches=[[HANG]]
    )
    async with reflecting(api) as (cache, changed), scripted_client(api) as kube:
        await wait_until(lambda: phases(cache) == {"a": "Pending"})
        assert await audit(kube, cache, POD, None, SELECTOR, metadata_only=False)
        assert phases(cache) == {"a": "Running"}
        assert changed == [DIGITS] * 2
        assert not await audit(kube, cache, POD, None, SELECTOR, metadata_only=False)


async def test_an_audit_waits_for_a_delayed_event() -> None:
    changed: list[Key] = []
    cache = ChildCache(changed.append)
    api = ScriptedApi(lists=[make_list(9, make_pod("a", 8))])
    async with scripted_client(api) as kube:
        asyncio.get_running_loop().call_later(0.2, cache.put, POD, make_pod("a", 8))
        assert not await audit(kube, cache, POD, None, SELECTOR, metadata_only=False)
    assert len(api.asked(watch=False)) == 1


async def test_an_audit_finds_the_resource_whose_first_event_was_lost() -> None:
    changed: list[Key] = []
    cache = ResourceCache(changed.append)
    job = {"metadata": {"name": "digits", "namespace": "default", "uid": "u", "resourceVersion": "8"}, "spec": {}}
    api = ScriptedApi(lists=[make_list(9, job)])
    async with scripted_client(api) as kube:
        assert await audit(kube, cache, TRAINING_JOB, None, None, metadata_only=False)
    assert changed == [DIGITS]
    assert cache.get(DIGITS) is not None


async def test_watches_leave_the_connections_of_requests_alone() -> None:
    api = ScriptedApi(lists=[make_list(1)], watches=[[HANG]], writes=[make_pod("p", 2)])
    async with scripted_client(api) as kube:
        cache = ChildCache(lambda _: None)
        reflectors = [Reflector(kube, cache, POD, f"team-{number}", SELECTOR) for number in range(40)]
        tasks = [asyncio.create_task(reflector.run()) for reflector in reflectors]
        try:
            await wait_until(lambda: len(api.asked(watch=True)) == 40, 30)
            async with asyncio.timeout(10):
                await kube.create(POD, {"metadata": {"name": "p", "namespace": "default"}})
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
