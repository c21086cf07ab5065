"""Writes: existing objects are ours only by their owner's uid, and written objects are cached."""

import pytest
from fairlead.core.model_deployment.build import build_children
from fairlead.core.model_deployment.exposure_build import build_routes
from fairlead.core.model_deployment.revisions import build_record, build_revision, read_revisions
from fairlead.core.plan import Deletion, Event, Plan
from fairlead.core.settings import Settings
from fairlead.core.training_job.build import build_key_secret, build_launcher, build_service, build_worker
from fairlead.core.training_job.scheduling import build_groups
from fairlead.core.views import RevisionView
from fairlead.kube.children import ChildCache
from fairlead.kube.client import KubeClient
from fairlead.kube.errors import NAME_TAKEN, ApiError, StatusConflict
from fairlead.kube.execute import Writer
from fairlead.kube.kinds import MODEL_DEPLOYMENT, TRAINING_JOB, Key, Kind
from fairlead.kube.resources import ResourceCache, StoredResource

from tests.support.resources import make_deployment, make_job
from tests.support.scripted_api import Object, ScriptedApi, make_pod, scripted_client, status

JOB = make_job()
OURS = JOB.metadata.uid
EXISTS = status(409, "AlreadyExists")


def make_writer(kube: KubeClient) -> tuple[Writer, list[Key]]:
    changed: list[Key] = []
    return Writer(kube, ChildCache(changed.append)), changed


def store(kind: Kind = TRAINING_JOB, uid: str = OURS) -> StoredResource:
    cache = ResourceCache(lambda _: None)
    meta = {"name": "digits", "namespace": "default", "uid": uid, "resourceVersion": "40"}
    stored = cache.put(kind, {"metadata": meta})
    assert stored is not None
    return stored


def names_of(writer: Writer) -> list[str]:
    return [child.name for child in writer.children.owned_by(OURS)]


async def test_a_created_child_is_cached_without_triggering_a_reconcile() -> None:
    api = ScriptedApi(writes=[make_pod("digits-launcher", 41, owner=OURS)])
    async with scripted_client(api) as kube:
        writer, changed = make_writer(kube)
        plan = Plan(JOB.status, apply=(build_launcher(JOB, 0, Settings()),))
        assert await writer.execute(store(), JOB, TRAINING_JOB, plan) == 1
        assert (names_of(writer), changed) == (["digits-launcher"], [])


async def test_what_the_status_of_a_new_pod_says_is_known_although_its_event_adds_nothing() -> None:
    # a pod with a scheduling gate has this condition from the start, and changes only when it is admitted
    api = ScriptedApi(writes=[make_pod("digits-launcher", 41, owner=OURS)])
    async with scripted_client(api) as kube:
        writer, _ = make_writer(kube)
        await writer.execute(store(), JOB, TRAINING_JOB, Plan(JOB.status, apply=(build_launcher(JOB, 0, Settings()),)))
    assert api.accepted == ["application/json"]  # not its metadata alone


async def test_pods_are_created_after_the_objects_that_they_need() -> None:
    answer = make_pod("any", 41, owner=OURS)
    api = ScriptedApi(writes=[answer])
    async with scripted_client(api) as kube:
        writer, _ = make_writer(kube)
        children = (
            build_worker(JOB, 0, 0, Settings()),
            build_launcher(JOB, 0, Settings()),
            build_service(JOB),
            build_key_secret(JOB, "k"),
        )
        plan = Plan(JOB.status, apply=children, delete=(Deletion("Pod", "old", "old-uid"),))
        await writer.execute(store(), JOB, TRAINING_JOB, plan)
    order = [(method, path.rpartition("/")[2]) for method, path, _ in api.requests]
    assert order[0] == ("DELETE", "old")
    assert set(order[1:3]) == {("POST", "services"), ("POST", "secrets")}
    assert order[3:] == [("POST", "pods")] * 2


async def test_an_existing_child_is_accepted_if_it_is_ours() -> None:
    api = ScriptedApi(writes=[EXISTS], lists=[make_pod("digits-launcher", 41, owner=OURS)])
    async with scripted_client(api) as kube:
        writer, _ = make_writer(kube)
        await writer.execute(store(), JOB, TRAINING_JOB, Plan(JOB.status, apply=(build_launcher(JOB, 0, Settings()),)))
        assert names_of(writer) == ["digits-launcher"]


async def test_an_error_names_the_kind_of_the_child_that_was_rejected() -> None:
    api = ScriptedApi(writes=[status(422, "Invalid")])
    async with scripted_client(api) as kube:
        writer, _ = make_writer(kube)
        with pytest.raises(ApiError, match="Invalid") as error:
            await writer.execute(store(), JOB, TRAINING_JOB, Plan(JOB.status, apply=(build_service(JOB),)))
    assert error.value.child == "Service"


@pytest.mark.parametrize("code", [422, 500])
async def test_a_status_is_written_whatever_becomes_of_what_is_applied_last(code: int) -> None:
    deployment = make_deployment(spec__expose={"hosts": ["digits.example.com"], "ingress": {}})
    uid = deployment.metadata.uid
    changed = deployment.status.model_copy(update={"replicas": 2})
    written = {"metadata": {"name": "digits", "namespace": "default", "uid": uid, "resourceVersion": "41"}}
    api = ScriptedApi(writes=[written, status(code, "InternalError")], lists=[status(404, "NotFound")])
    async with scripted_client(api) as kube:
        writer, _ = make_writer(kube)
        plan = Plan(changed, apply_last=tuple(build_routes(deployment)))
        with pytest.raises(ApiError, match="InternalError") as error:
            await writer.execute(store(MODEL_DEPLOYMENT, uid), deployment, MODEL_DEPLOYMENT, plan)
    assert error.value.child == "Ingress"
    assert [(method, path.rpartition("/")[2]) for method, path, _ in api.requests][:3] == [
        ("PATCH", "status"), ("GET", "digits"), ("PATCH", "digits"),
    ]  # fmt: skip


@pytest.mark.parametrize("owner", ["", "the-uid-of-an-earlier-job"])
async def test_an_existing_child_that_is_not_ours_is_reported(owner: str) -> None:
    api = ScriptedApi(writes=[EXISTS], lists=[make_pod("digits-launcher", 41, owner=owner)])
    async with scripted_client(api) as kube:
        writer, _ = make_writer(kube)
        with pytest.raises(ApiError, match="Pod digits-launcher exists and has another owner") as error:
            await writer.execute(
                store(), JOB, TRAINING_JOB, Plan(JOB.status, apply=(build_launcher(JOB, 0, Settings()),))
            )
    assert (error.value.reason, error.value.rejected) == (NAME_TAKEN, True)
    assert names_of(writer) == []


async def test_no_pod_is_created_if_the_key_is_not_ours() -> None:
    api = ScriptedApi(writes=[EXISTS], lists=[make_pod("digits-key", 41, owner="")])
    async with scripted_client(api) as kube:
        writer, _ = make_writer(kube)
        children = (build_key_secret(JOB, "k"), build_launcher(JOB, 0, Settings()))
        with pytest.raises(ApiError, match="Secret digits-key exists"):
            await writer.execute(store(), JOB, TRAINING_JOB, Plan(JOB.status, apply=children))
    assert [path for method, path, _ in api.requests if method == "POST"] == ["/api/v1/namespaces/default/secrets"]


async def test_a_record_of_a_revision_is_cached_with_its_data() -> None:
    deployment, settings = make_deployment(), Settings()
    revision = build_revision(deployment.spec.predictors[0], {}, settings)
    record = build_record(deployment, revision, ())
    meta = record["metadata"] | {"uid": "u", "resourceVersion": "41"}
    api = ScriptedApi(writes=[record | {"metadata": meta}])
    async with scripted_client(api) as kube:
        writer, _ = make_writer(kube)
        stored = store(MODEL_DEPLOYMENT, deployment.metadata.uid)
        await writer.execute(stored, deployment, MODEL_DEPLOYMENT, Plan(deployment.status, apply=(record,)))
        (child,) = writer.children.owned_by(deployment.metadata.uid)
    assert api.accepted == ["application/json"]
    assert isinstance(child.view, RevisionView)
    assert read_revisions([child.view]) == {revision.name: revision}


async def test_a_change_is_applied_to_the_observed_object() -> None:
    deployment = make_deployment()
    uid = deployment.metadata.uid
    service: Object = build_children(deployment, {}, Settings())[-1]
    api = ScriptedApi(writes=[make_pod("digits", 41, owner=uid)], lists=[make_pod("digits", 40, owner=uid)])
    async with scripted_client(api) as kube:
        writer, _ = make_writer(kube)
        stored = store(MODEL_DEPLOYMENT, uid)
        await writer.execute(stored, deployment, MODEL_DEPLOYMENT, Plan(deployment.status, apply=(service,)))
    (method, path, query), body = api.requests[-1], api.bodies[-1]
    assert (method, path) == ("PATCH", "/api/v1/namespaces/default/services/digits")
    assert (query["force"], body["metadata"]["uid"]) == ("true", "uid-digits")


async def test_a_status_names_the_object_that_it_was_derived_from() -> None:
    answer = {"metadata": {"name": "digits", "resourceVersion": "42"}}
    api = ScriptedApi(writes=[answer])
    after = JOB.status.model_copy(update={"phase": "Running"})
    async with scripted_client(api) as kube:
        writer, _ = make_writer(kube)
        stored = store()
        stored.model = JOB
        assert await writer.write_status(TRAINING_JOB, stored, JOB.status, after)
        assert not await writer.write_status(TRAINING_JOB, stored, after, after)
    (body,) = api.bodies
    assert body["metadata"] == {"name": "digits", "namespace": "default", "uid": OURS, "resourceVersion": "40"}
    assert (stored.version, stored.model.status.phase) == (42, "Running")


FAILED_STATUS = JOB.status.model_copy(update={"phase": "Failed"})
WARNING = Event("Warning", "WorkerFailed", "why", "Failed")
WRITTEN = {"metadata": {"name": "digits", "resourceVersion": "42"}}


def kinds_of_writes(api: ScriptedApi) -> list[str]:
    return ["status" if path.endswith("/status") else "event" for method, path, _ in api.requests if method != "GET"]


async def test_an_event_is_sent_before_the_status_that_says_it_was() -> None:
    api = ScriptedApi(writes=[WRITTEN])
    async with scripted_client(api) as kube:
        writer, _ = make_writer(kube)
        await writer.execute(store(), JOB, TRAINING_JOB, Plan(FAILED_STATUS, events=(WARNING,)))
    assert kinds_of_writes(api) == ["event", "status"]


async def test_what_a_status_counts_is_deleted_after_the_status_was_written() -> None:
    api = ScriptedApi(writes=[WRITTEN, {}])
    async with scripted_client(api) as kube:
        writer, _ = make_writer(kube)
        plan = Plan(FAILED_STATUS, delete_counted=(Deletion("Pod", "digits-worker-1", "uid-1"),))
        await writer.execute(store(), JOB, TRAINING_JOB, plan)
    assert [method for method, _, _ in api.requests if method != "GET"][-1] == "DELETE"
    assert len(kinds_of_writes(api)) == 2


async def test_an_event_that_cannot_be_sent_holds_up_no_status_and_is_sent_later() -> None:
    denied = status(401, "Unauthorized")  # no rejection of the event, and not retried by the client
    api = ScriptedApi(writes=[denied, WRITTEN])
    async with scripted_client(api) as kube:
        writer, _ = make_writer(kube)
        stored = store()
        with pytest.raises(ApiError, match="Unauthorized"):
            await writer.execute(stored, JOB, TRAINING_JOB, Plan(FAILED_STATUS, events=(WARNING,)))
        assert kinds_of_writes(api) == ["event", "status"]
        assert stored.version == 42
        job = JOB.model_copy(update={"status": FAILED_STATUS})
        for _ in range(2):  # it is sent once
            await writer.execute(stored, job, TRAINING_JOB, Plan(FAILED_STATUS))
    assert kinds_of_writes(api) == ["event", "status", "event"]


async def test_a_key_that_was_deleted_is_created_again_and_an_existing_one_is_kept() -> None:
    api = ScriptedApi(writes=[EXISTS], lists=[make_pod("digits-key", 41, owner=OURS)])
    async with scripted_client(api) as kube:
        writer, _ = make_writer(kube)
        await writer.execute(store(), JOB, TRAINING_JOB, Plan(JOB.status, apply=(build_key_secret(JOB, "k"),)))
    assert [method for method, _, _ in api.requests] == ["POST", "GET"]


async def test_an_expired_resource_is_deleted_only_in_the_version_that_was_planned() -> None:
    api = ScriptedApi(writes=[{"kind": "Status", "status": "Success"}])
    async with scripted_client(api) as kube:
        writer, _ = make_writer(kube)
        assert await writer.execute(store(), JOB, TRAINING_JOB, Plan(JOB.status, expired=True)) == 1
    assert [(method, path.rpartition("/")[2]) for method, path, _ in api.requests] == [("DELETE", "digits")]
    assert api.bodies[0]["preconditions"] == {"uid": OURS, "resourceVersion": "40"}


async def test_a_resource_that_changed_before_its_expiry_is_planned_again() -> None:
    api = ScriptedApi(writes=[status(409, "Conflict")])
    async with scripted_client(api) as kube:
        writer, _ = make_writer(kube)
        with pytest.raises(StatusConflict):
            await writer.execute(store(), JOB, TRAINING_JOB, Plan(JOB.status, expired=True))


async def test_a_kind_that_the_cluster_does_not_have_is_a_rejection() -> None:
    job = make_job(spec__runPolicy={"schedulingPolicy": {"coscheduling": {}}})
    missing = status(404, "NotFound")
    async with scripted_client(ScriptedApi(writes=[missing], lists=[missing])) as kube:
        writer, _ = make_writer(kube)
        with pytest.raises(ApiError, match=r"no PodGroup of scheduling\.x-k8s\.io/v1alpha1") as caught:
            await writer.execute(store(), job, TRAINING_JOB, Plan(job.status, apply=build_groups(job)))
    assert (caught.value.rejected, caught.value.transient) == (True, False)
