"""The jobs of trials in the cache of children, and how they are written."""

import json
from typing import Any

import pytest
from fairlead.core.plan import Patch, Plan
from fairlead.core.sweep.build import build_trial
from fairlead.core.views import TrialView
from fairlead.kube.children import ChildCache
from fairlead.kube.errors import ApiError
from fairlead.kube.execute import Writer
from fairlead.kube.job_views import view_trial
from fairlead.kube.kinds import SWEEP, TRAINING_JOB, Key
from fairlead.kube.resources import ResourceCache, StoredResource

from tests.support.resources import Object, make_sweep
from tests.support.scripted_api import ScriptedApi, scripted_client, status

VALUES = {"lr": "0.01", "width": "16", "optimizer": "adam"}
TRIALS = [{"number": 1, "parameters": VALUES}]
DIGITS = make_sweep({"trials": TRIALS})
HELD = Patch("TrainingJob", "digits-0001", "uid-1", {"spec": {"runPolicy": {"suspend": True}}})


def make_job(version: int = 41, suspend: bool = False, **fields: Any) -> Object:
    """Return the job of the first trial as the API server stores it."""
    job = build_trial(DIGITS, DIGITS.status.trials[0])
    job["metadata"] |= {"uid": "uid-1", "resourceVersion": str(version)}
    job["spec"]["runPolicy"] = {"suspend": suspend}
    return job | fields


def store() -> StoredResource:
    meta = {"name": "digits", "namespace": "default", "uid": DIGITS.metadata.uid, "resourceVersion": "40"}
    stored = ResourceCache(lambda _: None).put(SWEEP, {"metadata": meta})
    assert stored
    return stored


def test_the_view_has_what_the_planner_reads() -> None:
    progress = {"step": 12, "metrics": {"accuracy": 0.5, "loss": 1.25}}
    model = {"name": "model", "uri": "s3://models/x", "digest": "sha256:" + "ab" * 32}
    failed = {"type": "Failed", "status": "True", "reason": "WorkerExited", "message": "Worker 1 exited.",
              "lastTransitionTime": "2026-03-01T12:00:00Z"}  # fmt: skip
    known = {"phase": "Failed", "startTime": "2026-03-01T12:00:00Z", "progress": progress, "provenance": [model],
             "conditions": [failed]}  # fmt: skip
    view = view_trial(make_job(suspend=True, status=known))
    assert (view.number, dict(view.values), view.phase, view.step) == (1, VALUES, "Failed", 12)
    assert (view.started, view.suspended, view.finished, view.message) == (True, True, True, "Worker 1 exited.")
    assert view.find_metric("loss") == 1.25
    assert view.find_metric("other") is None
    assert view.model
    assert view.model.uri == "s3://models/x"


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"lr": 3}', "x" * 20_000, json.dumps({"a": "b" * 20_000})])
def test_an_annotation_that_is_none_of_ours_is_left_out(text: str) -> None:
    job = make_job()
    job["metadata"]["annotations"]["fairlead.dev/trial-parameters"] = text
    assert view_trial(job).values == ()


def test_a_change_of_a_trial_reconciles_its_sweep_and_another_owners_job_is_not_the_sweeps() -> None:
    changed: list[Key] = []
    children = ChildCache(changed.append)
    children.put(TRAINING_JOB, make_job(41))
    children.put(TRAINING_JOB, make_job(42))  # nothing that the planner reads is different
    children.put(TRAINING_JOB, make_job(43, status={"progress": {"step": 1}}))
    assert changed == [Key("Sweep", "default", "digits")] * 2
    other = make_job(44)
    other["metadata"] |= {"uid": "uid-2", "ownerReferences": []}
    children.put(TRAINING_JOB, other)
    assert [child.uid for child in children.owned_by(DIGITS.metadata.uid)] == ["uid-1"]


async def test_the_status_is_written_first_then_jobs_are_held_and_then_created() -> None:
    written = {"metadata": {"name": "digits", "namespace": "default", "resourceVersion": "50"}}
    api = ScriptedApi(writes=[written, make_job(51, suspend=True), make_job(52)])
    async with scripted_client(api) as kube:
        writer = Writer(kube, ChildCache(lambda _: None))
        after = DIGITS.status.model_copy(update={"phase": "Running"})
        plan = Plan(after, patches=(HELD,), apply_last=(build_trial(DIGITS, DIGITS.status.trials[0]),))
        assert await writer.execute(store(), DIGITS, SWEEP, plan) == 3
        (child,) = writer.children.owned_by(DIGITS.metadata.uid)
    assert [(method, path.rpartition("/")[2]) for method, path, _ in api.requests] == [
        ("PATCH", "status"), ("PATCH", "digits-0001"), ("POST", "trainingjobs"),
    ]  # fmt: skip
    assert api.bodies[1] == {"spec": {"runPolicy": {"suspend": True}}, "metadata": {"uid": "uid-1"}}
    assert isinstance(child.view, TrialView)
    assert child.view.suspended is False, "the newer answer counts"


@pytest.mark.parametrize(("code", "reason"), [(404, "NotFound"), (409, "Conflict")])
async def test_a_job_that_is_gone_needs_no_patch(code: int, reason: str) -> None:
    api = ScriptedApi(writes=[status(code, reason)])
    async with scripted_client(api) as kube:
        await Writer(kube, ChildCache(lambda _: None)).execute(
            store(), DIGITS, SWEEP, Plan(DIGITS.status, patches=(HELD,))
        )


async def test_nothing_is_created_while_a_job_could_not_be_held() -> None:
    api = ScriptedApi(writes=[status(422, "Invalid")])
    async with scripted_client(api) as kube:
        writer = Writer(kube, ChildCache(lambda _: None))
        plan = Plan(DIGITS.status, patches=(HELD,), apply_last=(build_trial(DIGITS, DIGITS.status.trials[0]),))
        with pytest.raises(ApiError, match="Invalid"):
            await writer.execute(store(), DIGITS, SWEEP, plan)
    assert [method for method, _, _ in api.requests] == ["PATCH"]


@pytest.mark.parametrize("start", ["2020-01-01T00:00:00+99:99", "0000-01-01T00:00:00Z", "2020-01-01T00:00x5Z", []])
def test_a_status_that_no_operator_has_written_counts_as_none(start: object) -> None:
    view = view_trial(make_job(status={"phase": "Running", "startTime": start}))
    assert (view.started, view.number, view.step) == (False, 1, 0)
