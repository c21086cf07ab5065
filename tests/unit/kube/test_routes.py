"""Routes: what is read of them, when they are watched, and what is noticed where their kind does not exist."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fairlead.core.conditions import Rejection
from fairlead.core.model_deployment.claims import Claim
from fairlead.core.model_deployment.observed import ObservedRoutes
from fairlead.core.views import ParentView, ReportView, RouteView
from fairlead.kube.children import ChildCache
from fairlead.kube.kinds import HTTP_ROUTE, INGRESS, MODEL_DEPLOYMENT, Key
from fairlead.kube.optional import OptionalKinds
from fairlead.kube.resources import ResourceCache
from fairlead.kube.route_views import view_route
from fairlead.kube.routes import observe_routes

from tests.support.resources import MODEL_DEPLOYMENT as DEPLOYMENT
from tests.support.resources import change, make_deployment
from tests.support.scripted_api import HANG, ScriptedApi, make_list, scripted_client, status
from tests.support.waiting import wait_until

UID = "4d3c2b1a-0000-4000-8000-000000000000"
OWNER = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "ModelDeployment", "name": "digits", "uid": UID,
         "controller": True}  # fmt: skip
OURS = [{"manager": "fairlead", "operation": "Apply", "fieldsV1": {"f:spec": {"f:rules": {}}}}]
HOST = "digits.example.com"
PLAIN = make_deployment(spec__expose={"hosts": [HOST], "ingress": {}})
GATEWAY = make_deployment(spec__expose={"hosts": [HOST], "gateway": {"parentRefs": [{"name": "public"}]}})


def route(version: int, status: Any = None, **spec: Any) -> dict[str, Any]:
    meta = {"name": "digits", "namespace": "default", "uid": "r", "resourceVersion": str(version), "generation": 2}
    annotations = {"fairlead.dev/applied-hash": "abc", "note": "a"}
    return {
        "metadata": meta | {"ownerReferences": [OWNER], "managedFields": OURS, "annotations": annotations},
        "spec": spec or {"rules": [{"host": HOST}]}, "status": status,
    }  # fmt: skip


@asynccontextmanager
async def watching(api: ScriptedApi, cache: ChildCache) -> AsyncIterator[OptionalKinds]:
    async with scripted_client(api) as kube:
        kinds = OptionalKinds(kube, cache)
        task = asyncio.create_task(kinds.run())
        yield kinds
        task.cancel()
        await asyncio.wait([task])


def test_an_ingress_is_read() -> None:
    addresses = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}, {"hostname": "lb.example.com", "ip": "10.0.0.2"}]}}
    assert view_route("Ingress", route(1, addresses)) == RouteView(
        "Ingress", "digits", "r", "abc", generation=2, hosts=(HOST,), annotations=("note",),
        addresses=("10.0.0.1", "lb.example.com"),
    )  # fmt: skip


def test_what_gateways_report_is_read() -> None:
    known = {
        "type": "Accepted",
        "status": "False",
        "reason": "NoMatchingParent",
        "message": "no",
        "observedGeneration": 2,
    }
    parents = [
        {"parentRef": {"name": "public", "namespace": "infra", "sectionName": "https"}, "conditions": [known]},
        {"parentRef": {"name": "inner"}},
    ]
    view = view_route("HTTPRoute", route(1, {"parents": parents}, hostnames=[HOST]))
    assert view.hosts == (HOST,)
    assert view.parents == (
        ParentView("infra", "public", "https", (ReportView("Accepted", "False", "NoMatchingParent", "no", 2),)),
        ParentView("default", "inner", ""),
    )


@pytest.mark.parametrize(
    "reported",
    [None, [], "x", {"loadBalancer": [], "parents": {}}, {"loadBalancer": {"ingress": "10.0.0.1"}, "parents": ["x"]},
     {"loadBalancer": {"ingress": [{"ip": 1}, "x"]}, "parents": [{"parentRef": 1, "conditions": [1, {"type": 1}]}]}],
)  # fmt: skip
def test_a_status_of_other_types_says_nothing(reported: Any) -> None:
    view = view_route("Ingress", route(1, reported))
    assert view.addresses == ()
    assert all(report.type == "" for parent in view.parents for report in parent.reports)


def test_a_long_status_is_bounded_and_plain_text() -> None:
    words = {"type": "Accepted", "status": "False", "reason": "r" * 5000, "message": "\x1b[31m" + "m" * 50_000}
    parents = [{"parentRef": {"name": "p" * 5000}, "conditions": [words] * 100}] * 100
    addresses = [{"hostname": "h" * 5000}] * 100
    view = view_route("HTTPRoute", route(1, {"parents": parents, "loadBalancer": {"ingress": addresses}}))
    assert len(view.parents) == 32
    assert len(view.addresses) == 8
    assert len(str(view.parents[0])) < 20_000
    assert "\x1b" not in view.parents[0].reports[0].message


async def test_nothing_is_watched_for_a_deployment_without_routes() -> None:
    async with watching(ScriptedApi(lists=[make_list(9)]), ChildCache(lambda _: None)) as kinds:
        assert observe_routes(kinds, ChildCache(lambda _: None), make_deployment(), (), None) == ObservedRoutes()
        assert list(kinds._reflectors) == []


async def test_routes_of_an_earlier_spec_are_looked_for_after_a_restart() -> None:
    earlier = make_deployment({"exposure": {"kinds": ["HTTPRoute"], "hosts": [HOST]}})
    api, cache = (
        ScriptedApi(lists=[make_list(9, route(5, hostnames=[HOST]))], watches=[[HANG]]),
        ChildCache(lambda _: None),
    )
    async with watching(api, cache) as kinds:
        assert observe_routes(kinds, cache, earlier, (), None).pending == {"HTTPRoute"}
        await wait_until(
            lambda: observe_routes(kinds, cache, earlier, (), None).find("HTTPRoute", "digits") is not None, 30
        )
        assert list(kinds.watched()) == [(HTTP_ROUTE, None)]


async def test_a_kind_that_is_installed_later_is_noticed() -> None:
    missing = status(404, "NotFound")
    api = ScriptedApi(lists=[missing, missing, make_list(9)], watches=[[HANG]])
    cache = ChildCache(lambda _: None)
    async with watching(api, cache) as kinds:
        observe_routes(kinds, cache, GATEWAY, (), None)
        await wait_until(
            lambda: observe_routes(kinds, cache, GATEWAY, (), None).refusals == {"HTTPRoute": "missing"}, 30
        )
        await wait_until(lambda: observe_routes(kinds, cache, GATEWAY, (), None) == ObservedRoutes(), 30)


async def test_a_deployment_sees_the_hosts_of_others_and_why_its_route_was_rejected() -> None:
    cache, rejection = ChildCache(lambda _: None), Rejection("Rejected", "no", "Ingress")
    claims = (Claim("default", "digits", "", (HOST,)), Claim("other", "digits", "", ("letters.example.com",)))
    async with watching(ScriptedApi(lists=[make_list(9)], watches=[[HANG]]), cache) as kinds:
        observed = observe_routes(kinds, cache, PLAIN, claims, rejection)
    assert observed.claims == claims[1:]
    assert observed.rejection is rejection


def test_a_change_by_another_client_is_noticed() -> None:
    keys: list[Key] = []
    cache = ChildCache(keys.append)

    def changed() -> bool:
        (child,) = cache.owned_by(UID)
        assert isinstance(child.view, RouteView)
        return child.view.changed

    cache.put(INGRESS, route(1), own=True)
    cache.put(INGRESS, route(2, {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}))
    assert not changed()
    assert keys == [Key("ModelDeployment", "default", "digits")]
    cache.put(INGRESS, route(3, rules=[{"host": "elsewhere.example.com"}]))
    assert changed()
    cache.put(INGRESS, route(4), own=True)
    assert not changed()


def test_the_cache_knows_the_hosts_of_deployments() -> None:
    resources = ResourceCache(lambda _: None)

    def put(name: str, **changes: Any) -> None:
        obj = change(DEPLOYMENT, metadata__name=name, metadata__uid=name, metadata__resourceVersion="1", **changes)
        resources.put(MODEL_DEPLOYMENT, obj)

    put("none")
    put("digits", status__exposure={"hosts": [HOST]})
    assert [(claim.name, claim.hosts) for claim in resources.claims()] == [("digits", (HOST,))]
    stored = resources.get(Key("ModelDeployment", "default", "none"))
    assert stored is not None
    stored.written(2, {"exposure": {"hosts": ["letters.example.com"]}}, None)
    assert {claim.hosts for claim in resources.claims()} == {(HOST,), ("letters.example.com",)}
    resources.forget("digits", 2)
    assert [claim.name for claim in resources.claims()] == ["none"]
