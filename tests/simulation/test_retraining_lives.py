"""Simulated retraining: a drift has one run, whatever fails and wherever the operator is killed, and the spec stays.

What must always hold is checked by the cluster at each step: no two jobs at once, none in the cool-down, and a spec
that nobody but the user writes.
"""

import random

import pytest
from fairlead.core import names

from tests.support.resources import DRIFT, RETRAIN, change
from tests.support.retraining import (
    COOL_DOWN,
    EDITED,
    URI,
    DriftingCluster,
    Fates,
    jump,
    run_for,
    start_drifting,
)

SEEDS = range(2)
NEW = {"name": "model", "modelUri": "s3://models/digits/v9"}
GRAPH = "spec__predictors__0__graph"


def is_retrained(cluster: DriftingCluster) -> bool:
    """Return whether a model serves that was trained since the requests have last drifted."""
    model, serving = cluster.retrain.model, cluster.serving()
    known = model is not None and model.stable and model.uri == serving
    return known and cluster.trained_at[serving] == cluster.shifts


def start_drifted(seed: int, **options: object) -> DriftingCluster:
    """Return a cluster whose requests have just drifted."""
    cluster = start_drifting(seed, **options)
    run_for(cluster, 20)
    assert cluster.created == []
    cluster.shift()
    return cluster


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kill", [0.0, 0.15])
def test_a_drift_ends_in_one_retrained_model(seed: int, kill: float) -> None:
    cluster = start_drifted(seed, kill=kill)
    run_for(cluster, 900, until=lambda: is_retrained(cluster))
    cluster.kill = 0.0
    run_for(cluster, 2 * COOL_DOWN + 60)
    assert len(cluster.created) == 1
    assert cluster.serving() == names.converted_uri(cluster.run.trained.uri if cluster.run.trained else "")
    assert cluster.deployment.spec.predictors[0].graph.model_uri == URI
    assert [each.status for each in cluster.status.conditions if each.type in ("Drifted", "Ready")] == ["True", "False"]
    assert cluster.condition is not None
    assert (cluster.condition.status, cluster.condition.reason) == ("False", "Retrained")
    told = [event.reason for event in cluster.events if event.action == "Retrain"]
    assert told == ["RetrainingStarted", "Retrained"]
    assert cluster.lost == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_the_next_drift_starts_with_the_checkpoints_of_the_last_run(seed: int) -> None:
    cluster = start_drifted(seed)
    run_for(cluster, 900, until=lambda: is_retrained(cluster))
    first = cluster.created[0]
    checkpoints = cluster.jobs[first].checkpoints
    assert "restoreFrom" not in cluster.objects[first]["spec"]["checkpoint"], "nobody knows who trained the first model"
    cluster.shift()
    run_for(cluster, 900, until=lambda: is_retrained(cluster))
    second = cluster.created[1]
    assert cluster.objects[second]["spec"]["checkpoint"]["restoreFrom"] == checkpoints
    assert set(cluster.jobs) == {second}, "the job of the run before is kept until the next one begins"
    assert cluster.serving().startswith(f"s3://models/digits/{second}")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_model_that_a_rollout_rejects_leaves_the_earlier_one(seed: int) -> None:
    cluster = start_drifted(seed)
    run_for(cluster, 900, until=lambda: is_retrained(cluster))
    good = cluster.serving()
    cluster.bad_models = True
    cluster.shift()
    run_for(cluster, 1200, until=lambda: cluster.run.reason == "RetrainedModelRolledBack")
    run_for(cluster, 3 * COOL_DOWN)
    assert cluster.serving() == good
    assert cluster.retrain.model is not None
    assert cluster.retrain.model.uri == good
    assert cluster.retrain.previous is None
    ready = next(each for each in cluster.status.conditions if each.type == "Ready")
    assert ready.status == "True", "the deployment is as it was"
    assert len(cluster.created) == 2, "the drift goes on, and has had its run"
    assert cluster.condition is not None
    assert "failed" in cluster.condition.message


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kill", [0.0, 0.15])
def test_a_failed_job_is_not_tried_again_until_the_template_changes(seed: int, kill: float) -> None:
    fails = [True]
    cluster = start_drifted(seed, fates=Fates(job_fails=lambda: fails[0]), kill=kill)
    run_for(cluster, 300, until=lambda: bool(cluster.retrain.run and cluster.run.ended_at))
    run_for(cluster, 3 * COOL_DOWN)
    assert len(cluster.created) == 1
    assert cluster.condition is not None
    assert cluster.condition.reason == "JobFailed"
    assert "Worker 0 failed with exit code 3." in cluster.condition.message
    assert cluster.serving() == URI
    fails[0] = False
    cluster.edit(spec__monitor={"drift": DRIFT, "retrain": EDITED})
    run_for(cluster, 900, until=lambda: is_retrained(cluster))
    assert is_retrained(cluster)
    assert len(cluster.created) == 2
    assert cluster.run.dataset is not None
    assert cluster.run.dataset.uri == "s3://datasets/digits/v3"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_conversion_that_is_rejected_says_so_and_one_that_is_evicted_is_tried_again(seed: int) -> None:
    draw = random.Random(seed)
    fates = Fates(evicted=lambda: draw.random() < 0.5, conversion_fails=lambda: True)
    cluster = start_drifted(seed, fates=fates)
    run_for(cluster, 600, until=lambda: bool(cluster.retrain.run and cluster.run.ended_at))
    assert cluster.run.reason == "ModelRejected"
    assert "accuracy 0.1" in (cluster.run.message or "")
    assert cluster.serving() == URI
    assert cluster.retrain.model is None


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("phase", ["Training", "Converting"])
def test_a_model_of_the_user_ends_the_run(seed: int, phase: str) -> None:
    cluster = start_drifted(seed)
    run_for(cluster, 600, until=lambda: bool(cluster.retrain.run and cluster.run.phase == phase))
    cluster.edit(**{GRAPH: NEW})
    run_for(cluster, 900, until=lambda: cluster.serving() == NEW["modelUri"])
    run_for(cluster, 30)
    assert cluster.serving() == NEW["modelUri"]
    assert cluster.run.reason == "Superseded"
    assert all(job.finished for job in cluster.jobs.values())
    assert all(pod.finished for pod in cluster.converters.values())
    assert cluster.retrain.model is None


@pytest.mark.parametrize("seed", SEEDS)
def test_a_model_of_the_user_takes_the_place_of_a_retrained_one(seed: int) -> None:
    cluster = start_drifted(seed)
    run_for(cluster, 900, until=lambda: is_retrained(cluster))
    cluster.edit(**{GRAPH: NEW})
    run_for(cluster, 900, until=lambda: cluster.serving() == NEW["modelUri"])
    assert cluster.serving() == NEW["modelUri"]
    assert cluster.retrain.model is None
    cluster.edit()
    run_for(cluster, 900, until=lambda: cluster.serving() == URI)
    assert cluster.serving() == URI, "the retrained model does not come back"


def test_a_user_who_writes_the_retrained_model_into_the_spec_starts_no_rollout() -> None:
    cluster = start_drifted(1)
    run_for(cluster, 900, until=lambda: is_retrained(cluster))
    run_for(cluster, 60)
    stable, model = cluster.status.stable_revision, cluster.retrain.model
    assert model is not None
    started = len([event for event in cluster.events if event.reason == "RolloutStarted"])
    adopted = {"name": "model", "modelUri": model.uri, "digest": model.digest}
    cluster.edit(**{GRAPH: adopted, "spec__monitor": {"drift": DRIFT}})
    run_for(cluster, 120)
    assert cluster.status.stable_revision == stable
    assert cluster.status.retrain is None
    assert len([event for event in cluster.events if event.reason == "RolloutStarted"]) == started


@pytest.mark.parametrize("seed", SEEDS)
def test_without_retrain_nothing_is_left_and_the_spec_is_served(seed: int) -> None:
    cluster = start_drifted(seed)
    run_for(cluster, 900, until=lambda: is_retrained(cluster))
    cluster.shift()
    run_for(cluster, 600, until=lambda: len(cluster.created) == 2)
    cluster.edit(spec__monitor={"drift": DRIFT})
    run_for(cluster, 900, until=lambda: cluster.serving() == URI)
    run_for(cluster, 10)
    assert cluster.serving() == URI
    assert (cluster.jobs, cluster.converters, cluster.status.retrain, cluster.condition) == ({}, {}, None, None)


@pytest.mark.parametrize("seed", SEEDS)
def test_suspended_it_ends_the_run_and_resumed_it_begins_one(seed: int) -> None:
    cluster = start_drifted(seed, fates=Fates(trains=lambda: False))
    run_for(cluster, 300, until=lambda: bool(cluster.created))
    cluster.edit(spec__monitor={"drift": DRIFT, "retrain": change(RETRAIN, suspend=True)})
    run_for(cluster, 60)
    assert cluster.jobs == {}
    assert cluster.condition is not None
    assert cluster.condition.reason == "RetrainingSuspended"
    cluster.fates = Fates()
    cluster.edit()
    run_for(cluster, 900, until=lambda: is_retrained(cluster))
    assert is_retrained(cluster)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kill", [0.0, 0.15])
def test_a_model_that_nobody_signs_holds_changes_of_the_spec_back_for_a_bounded_time(seed: int, kill: float) -> None:
    cluster = start_drifted(seed, unsigned=True, kill=kill)
    run_for(cluster, 900, until=lambda: cluster.retrain.model is not None)
    first = cluster.status.stable_revision
    cluster.edit(spec__predictors__0__server={"resources": {"requests": {"cpu": "2"}}})
    run_for(cluster, 60)
    assert cluster.condition is not None
    assert "is not admitted yet" in cluster.condition.message
    assert "has no signature" in cluster.condition.message
    assert cluster.status.stable_revision == first
    run_for(cluster, 1200, until=lambda: cluster.status.stable_revision != first)
    assert (cluster.serving(), cluster.run.reason) == (URI, "RetrainedModelNotAdmitted")
    assert cluster.status.stable_revision != first
    run_for(cluster, 3 * COOL_DOWN)
    assert (len(cluster.created), cluster.retrain.model) == (1, None)


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_warm_start_that_failed_a_run_starts_from_scratch(seed: int) -> None:
    fails = [False]
    cluster = start_drifted(seed, fates=Fates(job_fails=lambda: fails[0]))
    run_for(cluster, 900, until=lambda: is_retrained(cluster))
    fails[0] = True
    cluster.shift()
    run_for(cluster, 900, until=lambda: len(cluster.created) == 2 and cluster.run.reason == "JobFailed")
    fails[0] = False
    cluster.edit(spec__monitor={"drift": DRIFT, "retrain": EDITED})
    run_for(cluster, 900, until=lambda: is_retrained(cluster))
    warm = ["restoreFrom" in cluster.objects[name]["spec"]["checkpoint"] for name in cluster.created]
    assert warm == [False, True, False]
    cluster.shift()
    run_for(cluster, 900, until=lambda: len(cluster.created) == 4)
    assert "restoreFrom" in cluster.objects[cluster.created[3]]["spec"]["checkpoint"], "those of the last run are there"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_deleted_job_counts_as_failed(seed: int) -> None:
    cluster = start_drifted(seed, fates=Fates(trains=lambda: False))
    run_for(cluster, 300, until=lambda: bool(cluster.retrain.run and cluster.run.uid))
    cluster.delete_job()
    run_for(cluster, 2 * COOL_DOWN)
    assert cluster.run.reason == "JobDeleted"
    assert len(cluster.created) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_that_never_ends_reaches_its_deadline(seed: int) -> None:
    cluster = start_drifted(seed, fates=Fates(trains=lambda: False))
    run_for(cluster, 900, until=lambda: bool(cluster.retrain.run and cluster.run.ended_at))
    run_for(cluster, 10)
    assert cluster.run.reason == "DeadlineExceeded"
    assert cluster.jobs == {}, "what runs is deleted"


@pytest.mark.parametrize("hours", [-50_000, -5, 5])
@pytest.mark.parametrize("phase", ["Training", "Succeeded"])
def test_a_clock_that_jumps_neither_repeats_a_run_nor_stops_all_others(hours: int, phase: str) -> None:
    cluster = start_drifted(1)
    run_for(cluster, 900, until=lambda: bool(cluster.retrain.run and cluster.run.phase == phase))
    jump(cluster, hours)
    if hours > 0:
        cluster.ended_at = None  # what the operator's clock says is over is over
    run_for(cluster, 900, until=lambda: is_retrained(cluster) or cluster.run.reason == "DeadlineExceeded")
    assert len(cluster.created) <= 1
    cluster.shift()
    run_for(cluster, 900, until=lambda: is_retrained(cluster))
    # a run that the jump has ended is not repeated for the drift that goes on
    assert is_retrained(cluster) or cluster.run.reason == "DeadlineExceeded"


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_it_comes_to_rest_and_then_still_works(seed: int) -> None:
    chance = random.Random(seed)
    fates = Fates(
        job_fails=lambda: chance.random() < 0.2, conversion_fails=lambda: chance.random() < 0.2,
        evicted=lambda: chance.random() < 0.3, trains=lambda: chance.random() < 0.8,
    )  # fmt: skip
    cluster = start_drifting(seed, kill=0.1, deaf=0.05, fates=fates)
    for _ in range(12):
        run_for(cluster, chance.choice((20, 60, 150)))
        chance.choice(
            (
                cluster.shift,
                cluster.shift,
                cluster.edit,
                cluster.delete_job,
                lambda: cluster.edit(spec__monitor={"drift": DRIFT, "retrain": EDITED}),
                lambda: setattr(cluster, "bad_models", chance.random() < 0.5),
                lambda: cluster.edit(**{GRAPH: NEW}),
            )
        )()
    cluster.kill = cluster.deaf = 0.0
    cluster.fates, cluster.bad_models = Fates(), False
    cluster.edit()
    run_for(cluster, 900)
    cluster.shift()
    cluster.edit(
        spec__monitor={
            "drift": DRIFT,
            "retrain": change(RETRAIN, template__spec__dataset__uri="s3://datasets/digits/v4"),
        }
    )
    run_for(cluster, 1200, until=lambda: is_retrained(cluster))
    run_for(cluster, 60)
    assert is_retrained(cluster)
    assert all(job.finished for job in cluster.jobs.values())
