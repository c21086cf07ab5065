"""Leader election: who may write, and until when."""

import asyncio
import time
from types import SimpleNamespace

import pytest
from aiohttp import web
from fairlead.handlers import leader
from fairlead.handlers.leader import LeaderElection
from fairlead.kube.client import KubeClient
from fairlead.kube.errors import NotLeading
from fairlead.kube.kinds import POD

from tests.support.scripted_api import Object, ScriptedApi, scripted_client, served

_FREE: Object = {"metadata": {"name": "operator", "namespace": "system"}, "spec": {"holderIdentity": ""}}
_TAKEN: Object = {**_FREE, "spec": {"holderIdentity": "another", "renewTime": "now", "leaseDurationSeconds": 15}}


def _pass(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the election's clock, and no other, go on by some seconds."""
    later = time.monotonic() + seconds
    monkeypatch.setattr(leader, "time", SimpleNamespace(monotonic=lambda: later))


async def test_nobody_may_write_before_holding_the_lease() -> None:
    async with scripted_client(ScriptedApi()) as kube:
        assert not LeaderElection(kube, "system", "me", "operator").may_write()


async def test_a_leader_may_write_until_its_renewal_is_overdue(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted_client(ScriptedApi(lists=[_FREE], writes=[{}])) as kube:
        election = LeaderElection(kube, "system", "me", "operator")
        await election.acquire()
        assert election.may_write()
        _pass(monkeypatch, 9.0)
        assert election.may_write()
        _pass(monkeypatch, 10.1)  # as after a pause of the process: nothing else has noticed yet
        assert not election.may_write()


async def test_a_leader_that_sees_another_holder_may_not_write(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted_client(ScriptedApi(lists=[_FREE, _TAKEN], writes=[{}])) as kube:
        election = LeaderElection(kube, "system", "me", "operator")
        await election.acquire()
        _pass(monkeypatch, 6.0)  # a renewal is due
        monkeypatch.setattr(leader, "_RENEW", 0.01)
        monkeypatch.setattr(leader, "_RETRY", 0.01)
        await election.hold()
        assert not election.may_write()


async def test_an_installation_of_a_namespace_warns_once_while_another_works_there(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(leader, "_RENEW", 0.01)
    api = ScriptedApi(lists=[_TAKEN] * 3 + [_FREE] + [_TAKEN] * 3, writes=[{}])
    async with scripted_client(api) as kube:
        claiming = asyncio.create_task(LeaderElection(kube, "team-a", "system/operator", "fairlead-scope").claim())
        async with asyncio.timeout(30):
            while len(api.requests) < 8:  # noqa: ASYNC110 - the API sets no event
                await asyncio.sleep(0.01)
        claiming.cancel()
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    expected = "another installation works on the namespace team-a, too: see its lease fairlead-scope"
    assert warnings == [expected] * 2  # once before the lease was free, and once after


async def test_a_write_that_may_not_start_is_not_sent() -> None:
    api = ScriptedApi(lists=[{"metadata": {}}], writes=[{}])
    async with scripted_client(api) as kube:
        kube.may_write = lambda: False
        with pytest.raises(NotLeading, match="DELETE /api/v1/namespaces/default/pods/x: not sent"):
            await kube.delete(POD, "x", "default")
        await kube.get(POD, "x", "default")
    assert [method for method, _, _ in api.requests] == ["GET"]


async def test_a_retry_is_a_write_of_its_own() -> None:
    api = ScriptedApi(writes=[web.Response(status=503)])
    async with scripted_client(api) as kube:
        allowed = iter((True, True, False))  # before the connection, before the bytes, before the retry
        kube.may_write = lambda: next(allowed)
        with pytest.raises(NotLeading):
            await kube.delete(POD, "x", "default")
    assert len(api.requests) == 1


async def test_a_write_that_waited_for_its_connection_is_checked_again() -> None:
    api = ScriptedApi(writes=[{}])
    async with scripted_client(api) as kube:
        allowed = iter((True, False, False))  # before the connection, before the bytes, before the retry
        kube.may_write = lambda: next(allowed)
        with pytest.raises(NotLeading):
            await kube.create(POD, {"metadata": {"name": "x"}}, "default")
    assert api.requests == []


async def test_an_api_server_that_hangs_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await over.wait()
        return web.Response()

    over = asyncio.Event()
    monkeypatch.setattr(leader, "_ATTEMPT_TIMEOUT", 0.1)
    async with served(hang) as config, KubeClient(config) as kube:
        try:
            async with asyncio.timeout(10):
                await LeaderElection(kube, "system", "me", "operator").release()
        finally:
            over.set()
    assert "lease system/operator: not released: TimeoutError" in caplog.text
