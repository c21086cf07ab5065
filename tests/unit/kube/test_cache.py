"""The cache: entries only change to newer versions, whatever the order of events."""

from fairlead.core.views import PodView
from fairlead.kube.children import ChildCache
from fairlead.kube.kinds import POD, TRAINING_JOB, Key
from fairlead.kube.resources import ResourceCache

from tests.support.scripted_api import make_pod

DIGITS = Key("TrainingJob", "default", "digits")


def make_cache() -> tuple[ChildCache, list[Key]]:
    changed: list[Key] = []
    return ChildCache(changed.append), changed


def phases(cache: ChildCache, owner: str = "job-uid") -> dict[str, str]:
    return {child.name: child.view.phase for child in cache.owned_by(owner) if isinstance(child.view, PodView)}


def test_doubled_and_reordered_events_leave_the_newest_state() -> None:
    cache, changed = make_cache()
    cache.put(POD, make_pod("a", 3, "Running"))
    cache.put(POD, make_pod("a", 3, "Running"))
    cache.put(POD, make_pod("a", 2, "Pending"))
    assert phases(cache) == {"a": "Running"}
    assert changed == [DIGITS]


def test_a_late_event_does_not_restore_a_deleted_object() -> None:
    cache, _ = make_cache()
    cache.put(POD, make_pod("a", 1))
    cache.drop(make_pod("a", 5))
    cache.put(POD, make_pod("a", 4, "Running"))
    assert phases(cache) == {}
    cache.purge()
    cache.put(POD, make_pod("a", 4, "Running"))
    assert phases(cache) == {}


def test_a_change_that_planners_do_not_see_triggers_no_reconcile() -> None:
    cache, changed = make_cache()
    cache.put(POD, make_pod("a", 1))
    cache.put(POD, make_pod("a", 2, annotations={"some": "thing"}))
    assert changed == [DIGITS]


def test_the_response_to_a_write_is_cached_and_its_event_triggers_nothing() -> None:
    cache, changed = make_cache()
    cache.put(POD, make_pod("a", 7), own=True)
    assert phases(cache) == {"a": "Pending"}
    cache.put(POD, make_pod("a", 7))
    assert changed == []


def test_a_list_that_is_older_than_a_write_does_not_undo_it() -> None:
    cache, _ = make_cache()
    cache.put(POD, make_pod("a", 7), own=True)
    cache.replace(POD, None, [], "6")
    assert phases(cache) == {"a": "Pending"}
    cache.replace(POD, None, [], "8")
    assert phases(cache) == {}


def test_a_child_is_ours_by_the_uid_of_its_controller_alone() -> None:
    cache, changed = make_cache()
    cache.put(POD, make_pod("orphan", 1, owner=""))
    cache.put(POD, make_pod("of-an-earlier-job", 2, owner="earlier-uid"))
    assert phases(cache) == {}
    # but the job in its labels is reconciled: a name may have become free
    assert changed == [DIGITS, DIGITS]


def test_a_child_that_changes_its_owner_moves() -> None:
    cache, _ = make_cache()
    cache.put(POD, make_pod("a", 1))
    cache.put(POD, make_pod("a", 2, owner="other"))
    assert (phases(cache), phases(cache, "other")) == ({}, {"a": "Pending"})


def test_pods_of_a_replica_set_are_found_by_the_deployment_that_it_belongs_to() -> None:
    cache, _ = make_cache()
    labels = {"fairlead.dev/deployment": "digits"}
    owners = {
        name: [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": name, "controller": True}]
        for name in ("digits-main-5d4f", "other-5d4f")
    }
    for replica_set, owner in owners.items():
        cache.put(POD, make_pod(f"{replica_set}-x", 1, labels=labels, ownerReferences=owner))
    found = cache.replicas_of(Key("ModelDeployment", "default", "digits"), {"digits-main"})
    assert [child.name for child in found] == ["digits-main-5d4f-x"]


def make_resource(uid: str, version: int, name: str = "digits") -> dict[str, object]:
    meta = {"name": name, "namespace": "default", "uid": uid, "resourceVersion": str(version), "managedFields": [1]}
    return {"metadata": meta, "spec": {}}


def test_a_recreated_resource_survives_the_late_deletion_of_the_earlier_one() -> None:
    changed: list[Key] = []
    cache = ResourceCache(changed.append)
    cache.put(TRAINING_JOB, make_resource("first", 1))
    cache.put(TRAINING_JOB, make_resource("second", 9))
    cache.drop(make_resource("first", 8))
    stored = cache.get(DIGITS)
    assert stored is not None
    assert stored.uid == "second"
    assert "managedFields" not in stored.load()["metadata"]
    cache.drop(make_resource("second", 10))
    assert cache.get(DIGITS) is None
    assert list(cache) == []
