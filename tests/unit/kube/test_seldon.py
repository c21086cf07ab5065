"""SeldonDeployments: what is read of them, when they are watched, and what is noticed where there are none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fairlead.core.model_deployment.observed import ObservedSeldon
from fairlead.core.views import ChildView, SeldonView
from fairlead.kube.children import ChildCache
from fairlead.kube.kinds import DEPLOYMENT, SELDON_DEPLOYMENT, Key
from fairlead.kube.optional import OptionalKinds, OptionalReflector
from fairlead.kube.seldon import observe_seldon
from fairlead.kube.views import view_seldon

from tests.support.scripted_api import HANG, ScriptedApi, make_list, scripted_client, status
from tests.support.seldon import add_defaults
from tests.support.waiting import wait_until

OWNER = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "ModelDeployment", "name": "digits", "uid": "u",
         "controller": True}  # fmt: skip
OURS = [{"manager": "fairlead", "operation": "Apply", "fieldsV1": {"f:spec": {"f:predictors": {}}}}]


def resource(version: int, status: Any = None, replicas: int = 1) -> dict[str, Any]:
    meta = {"name": "digits", "namespace": "default", "uid": "s", "resourceVersion": str(version), "generation": 3}
    container = {"name": "leaf", "ports": [{"name": "http", "containerPort": 7100}]}
    predictor = {"name": "main", "replicas": replicas, "graph": {"name": "leaf", "type": "MODEL"},
                 "componentSpecs": [{"spec": {"containers": [container]}}]}  # fmt: skip
    return {
        "metadata": meta | {"ownerReferences": [OWNER], "managedFields": OURS},
        "spec": {"predictors": [predictor]}, "status": status,
    }  # fmt: skip


@asynccontextmanager
async def watching(api: ScriptedApi, cache: ChildCache, *namespaces: str) -> AsyncIterator[OptionalKinds]:
    async with scripted_client(api) as kube:
        kinds = OptionalKinds(kube, cache, namespaces)
        task = asyncio.create_task(kinds.run())
        yield kinds
        task.cancel()
        await asyncio.wait([task])


def test_what_is_reported_is_read() -> None:
    reported = {
        "state": "Available", "description": "", "observedGeneration": 3, "address": {"url": "http://a"},
        "deploymentStatus": {"digits-main-0-nodes": {"replicas": 2, "availableReplicas": 1}, "other": {}},
    }  # fmt: skip
    view = view_seldon(resource(1, reported))
    assert (view.state, view.generation, view.observed, view.url) == ("Available", 3, 3, "http://a")
    assert view.count_pods("digits-main-0-nodes") == (2, 1)
    assert view.count_pods("other") == view.count_pods("none") == (0, 0)


@pytest.mark.parametrize(
    "reported",
    [None, [], "x", {"state": 1, "description": {}, "address": "http://a", "deploymentStatus": [1]},
     {"state": None, "address": {"url": 1}, "observedGeneration": "1", "deploymentStatus": {"a": 1}},
     {"observedGeneration": True, "deploymentStatus": {"a": {"replicas": -1, "availableReplicas": 2**40}}}],
)  # fmt: skip
def test_a_status_of_other_types_says_nothing(reported: Any) -> None:
    view = view_seldon(resource(1, reported))
    assert (view.state, view.description, view.url, view.observed) == ("", "", "", 0)
    assert view.count_pods("a") == (0, 0)


def test_a_long_status_is_bounded_and_plain_text() -> None:
    pods = {f"n{at}": {"replicas": 1} for at in range(1000)}
    view = view_seldon(resource(1, {
        "state": "A" * 5000, "description": "\x1b[31m" + "b" * 50_000, "address": {"url": "h" * 5000},
        "deploymentStatus": pods,
    }))  # fmt: skip
    assert len(view.pods) == 64
    assert len(view.state) + len(view.description) + len(view.url) < 2000
    assert "\x1b" not in view.description


def test_a_change_by_another_client_is_noticed_and_defaults_of_a_webhook_are_not() -> None:
    keys: list[Key] = []
    cache = ChildCache(keys.append)

    def changed() -> bool:
        (child,) = cache.owned_by("u")
        assert isinstance(child.view, SeldonView)
        return child.view.changed

    # the response to our own apply already has what the webhook added, and so have later events
    cache.put(SELDON_DEPLOYMENT, add_defaults(resource(1)), own=True)
    cache.put(SELDON_DEPLOYMENT, add_defaults(resource(2, {"state": "Creating"})))
    assert not changed()
    assert keys == [Key("ModelDeployment", "default", "digits")]
    cache.put(SELDON_DEPLOYMENT, add_defaults(resource(3, replicas=5)))
    assert changed()
    cache.put(SELDON_DEPLOYMENT, add_defaults(resource(4)), own=True)
    assert not changed()


def test_the_deployments_of_seldon_core_are_seen_with_what_their_pods_are() -> None:
    cache = ChildCache(lambda _: None)
    owner = {"apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment", "name": "digits", "uid": "s",
             "controller": True}  # fmt: skip
    meta = {"name": "digits-main-0-nodes", "namespace": "default", "uid": "d", "resourceVersion": "2"}
    meta |= {"ownerReferences": [owner], "labels": {"fairlead.dev/deployment": "digits"}}
    template = {"metadata": {"annotations": {"fairlead.dev/content": "abc"}}}
    child = cache.put(DEPLOYMENT, {"metadata": meta, "spec": {"template": template}})
    assert child is not None
    assert child.key == Key("ModelDeployment", "default", "digits")
    assert isinstance(child.view, ChildView)
    assert child.view.content == "abc"


async def test_nothing_is_watched_before_a_deployment_asks_and_a_later_installation_is_noticed() -> None:
    missing = status(404, "NotFound")
    api = ScriptedApi(lists=[missing, missing, make_list(9, resource(5))], watches=[[HANG]])
    cache = ChildCache(lambda _: None)
    async with watching(api, cache) as kinds:
        await asyncio.sleep(0.05)
        assert api.requests == []
        assert observe_seldon(kinds, cache, "default", "u") == ObservedSeldon(pending=True)
        await wait_until(lambda: observe_seldon(kinds, cache, "default", "u") == ObservedSeldon(refusal="missing"), 30)
        assert list(kinds.watched()) == []
        await wait_until(lambda: observe_seldon(kinds, cache, "default", "u").find("digits") is not None, 30)
        assert list(kinds.watched()) == [(SELDON_DEPLOYMENT, None)]


async def test_what_was_known_is_forgotten_when_the_kind_is_gone() -> None:
    gone = {"type": "ERROR", "object": {"code": 410}}
    lists = [make_list(9, resource(5)), status(403, "Forbidden"), make_list(9, resource(5))]
    api = ScriptedApi(lists=lists, watches=[[gone], [HANG], [HANG]])
    keys: list[Key] = []
    cache = ChildCache(keys.append)
    async with watching(api, cache, "default") as kinds:
        observe_seldon(kinds, cache, "default", "u")
        await wait_until(
            lambda: observe_seldon(kinds, cache, "default", "u") == ObservedSeldon(refusal="forbidden"), 30
        )
        assert cache.owned_by("u") == []
        assert keys[-1] == Key("ModelDeployment", "default", "digits")
        # nobody has deleted it: at the same version it is there again
        await wait_until(lambda: bool(observe_seldon(kinds, cache, "default", "u").views), 30)


async def test_an_error_that_says_nothing_about_the_kind_changes_nothing() -> None:
    async with scripted_client(ScriptedApi(lists=[make_list(9)], watches=[[HANG]])) as kube:
        reflector = OptionalReflector(kube, ChildCache(lambda _: None), SELDON_DEPLOYMENT, None, "")
        await reflector.list()
        reflector.note_failure(TimeoutError())
        assert reflector.watching
