"""Drift: a child whose spec another client changed is noticed, also after a restart, and applied again only once."""

from typing import Any

import pytest
from fairlead.core.views import ChildView
from fairlead.kube.children import CHILDREN, ChildCache
from fairlead.kube.kinds import AUTOSCALER, DEPLOYMENT, DISRUPTION_BUDGET, SERVICE, Key, Kind

OWNER = {
    "apiVersion": "fairlead.dev/v1alpha1",
    "kind": "ModelDeployment",
    "name": "digits",
    "uid": "u",
    "controller": True,
}
OURS = [{"manager": "fairlead", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]
CONTROLLER = {"manager": "kube-controller-manager", "operation": "Update", "fieldsV1": {"f:status": {}}}
KUBECTL = {"manager": "kubectl-scale", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}}


def make_deployment(version: int, replicas: int, managers: list[dict[str, Any]] = OURS) -> dict[str, Any]:
    meta = {"name": "digits-main", "namespace": "default", "uid": "d", "resourceVersion": str(version)}
    return {
        "metadata": meta | {"ownerReferences": [OWNER], "managedFields": managers},
        "spec": {"replicas": replicas},
    }


def changed(cache: ChildCache) -> bool:
    (child,) = cache.owned_by("u")
    assert isinstance(child.view, ChildView)
    return child.view.changed


@pytest.mark.parametrize("kind", [DEPLOYMENT, SERVICE, AUTOSCALER, DISRUPTION_BUDGET], ids=lambda kind: kind.kind)
def test_a_change_by_another_client_is_noticed_and_triggers_a_reconcile(kind: Kind) -> None:
    assert dict(CHILDREN)[kind] is False  # metadata would not do
    keys: list[Key] = []
    cache = ChildCache(keys.append)
    cache.put(kind, make_deployment(1, 2), own=True)
    assert not changed(cache)
    cache.put(kind, make_deployment(2, 5))
    assert changed(cache)
    assert keys == [Key("ModelDeployment", "default", "digits")]
    cache.put(kind, make_deployment(3, 2), own=True)
    assert not changed(cache)


@pytest.mark.parametrize(("manager", "expected"), [(CONTROLLER, False), (KUBECTL, True)])
def test_after_a_restart_the_managers_of_the_spec_decide(manager: dict[str, Any], expected: bool) -> None:
    cache = ChildCache(lambda _: None)
    cache.put(DEPLOYMENT, make_deployment(1, 2, [*OURS, manager]))
    assert changed(cache) is expected


def test_an_apply_that_changes_nothing_is_not_repeated() -> None:
    cache = ChildCache(lambda _: None)
    cache.put(DEPLOYMENT, make_deployment(1, 2, [*OURS, KUBECTL]))
    assert changed(cache)
    cache.put(DEPLOYMENT, make_deployment(1, 2, [*OURS, KUBECTL]), own=True)
    assert not changed(cache)


def test_an_event_that_is_faster_than_the_response_is_judged_by_the_response() -> None:
    cache = ChildCache(lambda _: None)
    cache.put(DEPLOYMENT, make_deployment(1, 2), own=True)
    cache.put(DEPLOYMENT, make_deployment(3, 4))
    cache.put(DEPLOYMENT, make_deployment(2, 4), own=True)
    assert not changed(cache)
