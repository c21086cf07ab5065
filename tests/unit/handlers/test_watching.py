"""kopf's watches of the custom resources: whatever breaks one, the next change reaches the cache."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from fairlead.handlers import watching
from fairlead.handlers.settings import OperatorSettings
from fairlead.kube import audit, client, reflector
from fairlead.kube.kinds import WATCHED, Key
from fairlead.kube.resources import ResourceCache

from tests.support.resources import TRAINING_JOB
from tests.support.scripted_api import served
from tests.support.waiting import wait_until

Object = dict[str, Any]
JOBS = "/apis/fairlead.dev/v1alpha1/trainingjobs"
FIRST, SECOND = (Key("TrainingJob", "default", name) for name in ("first", "second"))


def _resource(plural: str, kind: str, *, namespaced: bool) -> Object:
    verbs = ["list", "watch", "patch"]
    return {"name": plural, "kind": kind, "singularName": "", "namespaced": namespaced, "verbs": verbs}


_VERSION = {"groupVersion": "fairlead.dev/v1alpha1", "version": "v1alpha1"}
DISCOVERY: dict[str, Object] = {
    "/api": {"versions": ["v1"]},
    "/api/v1": {"resources": [_resource("namespaces", "Namespace", namespaced=False)]},
    "/apis": {"groups": [{"name": "fairlead.dev", "versions": [_VERSION], "preferredVersion": _VERSION}]},
    "/apis/fairlead.dev/v1alpha1": {"resources": [_resource(k.plural, k.kind, namespaced=True) for k in WATCHED]},
}


def job(key: Key, version: int) -> Object:
    meta = {"name": key.name, "namespace": key.namespace, "uid": key.name, "resourceVersion": str(version)}
    return TRAINING_JOB | {"metadata": meta}


@dataclass
class FaultyApi:
    """An API server with one job; another one is created when the first watch or list meets the fault."""

    fault: str
    objects: list[Object] = field(default_factory=lambda: [job(FIRST, 1)])
    met: int = 0
    """How often requests have met the fault."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Ends hanging requests."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Respond as an API server does, but for the fault."""
        if request.path in DISCOVERY:
            return web.json_response(DISCOVERY[request.path])
        if request.path != JOBS:
            return await self._watch(request) if "watch" in request.query else web.json_response(_list([], 0))
        kind = "watch" if "watch" in request.query else "list"
        # a fault in the list follows a watch that has expired
        if kind == "watch" and self.fault.startswith("list:") and not self.met:
            return await self._send(request, _error(410))
        if self.fault.startswith(f"{kind}:") and not self.met and (kind == "watch" or len(self.objects) > 1):
            self.met += 1
            self._create()
            return await self._fail(request, self.fault.partition(":")[2])
        return await self._watch(request) if kind == "watch" else web.json_response(_list(self.objects, self._version))

    async def _fail(self, request: web.Request, fault: str) -> web.StreamResponse:
        if fault.isdigit():
            headers = {"Retry-After": "1"} if fault == "429" else {}
            return web.json_response(_error(int(fault))["object"], status=int(fault), headers=headers)
        if fault == "never answered":
            await self.over.wait()
        if fault.startswith("error "):
            return await self._send(request, _error(int(fault.removeprefix("error "))))
        if fault == "cut" and request.transport:
            request.transport.abort()
        return await self._send(request, hang=fault == "silent")

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        since = int(request.query["resourceVersion"])
        kept = self.objects if request.path == JOBS else []
        new = [obj for obj in kept if int(obj["metadata"]["resourceVersion"]) > since]
        return await self._send(request, *({"type": "ADDED", "object": obj} for obj in new), hang=True)

    async def _send(self, request: web.Request, *events: Object, hang: bool = False) -> web.StreamResponse:
        if self.fault.startswith("list:") and len(self.objects) == 1:
            self._create()
        response = web.StreamResponse()
        await response.prepare(request)
        for event in events:
            await response.write(json.dumps(event).encode() + b"\n")
        if hang:
            await self.over.wait()
        return response

    @property
    def _version(self) -> int:
        return len(self.objects)

    def _create(self) -> None:
        if len(self.objects) == 1:
            self.objects.append(job(SECOND, 2))


def _list(items: list[Object], version: int) -> Object:
    return {"kind": "List", "items": items, "metadata": {"resourceVersion": str(version)}}


def _error(code: int) -> Object:
    return {"type": "ERROR", "object": {"kind": "Status", "status": "Failure", "code": code, "message": "no"}}


@asynccontextmanager
async def watched(api: FaultyApi) -> AsyncIterator[ResourceCache]:
    """Watch the API server; yield the cache."""
    async with served(api.answer) as config:
        resources = ResourceCache(lambda _: None)
        task = asyncio.create_task(watching.watch(OperatorSettings(), config, resources, asyncio.Event()))
        try:
            yield resources
        finally:
            api.over.set()
            task.cancel()
            await asyncio.wait({task})


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten what a stall may take."""
    for name, seconds in (("FOLLOW_SECONDS", 1.0), ("_SILENCE_SECONDS", 0.5), ("_REQUEST_SECONDS", 1.0)):
        monkeypatch.setattr(watching, name, seconds)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "fault",
    ["watch:ended", "watch:cut", "watch:silent", "watch:never answered", "watch:error 410", "watch:error 500",
     "watch:401", "watch:403", "watch:404", "watch:410", "watch:429", "watch:500", "watch:503",
     "list:cut", "list:never answered", "list:410", "list:429", "list:500"],
)  # fmt: skip
async def test_a_watch_that_breaks_is_started_again(fault: str) -> None:
    api = FaultyApi(fault)
    async with watched(api) as resources:
        await wait_until(lambda: resources.get(FIRST) is not None, 30)
        await wait_until(lambda: resources.get(SECOND) is not None, 30)
    assert api.met == 1


def test_no_wait_of_kopf_is_longer_than_half_a_minute() -> None:
    settings = watching.kopf.OperatorSettings()
    watching.configure_kopf(settings)
    networking, backoffs = settings.networking, settings.networking.error_backoffs
    assert isinstance(backoffs, tuple)
    timeouts = (networking.request_timeout, networking.connect_timeout, settings.watching.inactivity_timeout)
    for seconds in (*timeouts, *backoffs):
        assert seconds is not None
        assert seconds < 30


def test_a_stalled_watch_and_a_lost_event_are_noticed_within_half_a_minute() -> None:
    assert reflector.Reflector.seconds == reflector.FOLLOW_SECONDS
    assert reflector.FOLLOW_SECONDS + client._SILENCE_SECONDS < 30
    assert OperatorSettings.model_fields["audit_seconds"].default + audit.GRACE_SECONDS < 30
