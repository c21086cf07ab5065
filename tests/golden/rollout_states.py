"""Deployments with a rollout in each of its states, as a simulated cluster gets there."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from fairlead.api.model_deployment import ModelDeployment
from fairlead.core.conditions import Finding
from fairlead.core.model_deployment.observed import Artifacts, ObservedDeployment, ServiceAnswer

from tests.support.model_cards import without_cards
from tests.support.rollouts import URI, Behaviour, RolloutCluster, start_cluster

NEW = "s3://models/scaler/v2"


@dataclass(frozen=True)
class State:
    """What the planner is asked, and why the answer matters."""

    reason: str
    deployment: ModelDeployment
    observed: ObservedDeployment
    now: datetime


def _snap(cluster: RolloutCluster, reason: str, **changes: Any) -> State:
    return State(reason, cluster.deployment, replace(cluster.observe(), **changes), cluster.now)


def _go(cluster: RolloutCluster, until: Callable[[], bool]) -> RolloutCluster:
    for _ in range(300):
        if until():
            return cluster
        cluster.reconcile()
        cluster.step(1)
    raise AssertionError(f"not reached: {cluster.status}")


def _changed(behaviour: Behaviour | None = None, rate: float = 0.0) -> RolloutCluster:
    """Return a cluster whose spec has just changed."""
    cluster = start_cluster(1, {NEW: behaviour or Behaviour()}, rate=rate)
    cluster.edit(**{URI: NEW, "spec__replicas": 3})
    return cluster


def _at(phase: str, rate: float = 0.0) -> RolloutCluster:
    cluster = _changed(rate=rate)
    return _go(cluster, lambda: bool(cluster.status.rollout and cluster.status.rollout.phase == phase))


def _rolled_back() -> RolloutCluster:
    cluster = _changed(Behaviour(crashes=True))
    return _go(cluster, lambda: bool(cluster.status.rollout and cluster.status.rollout.failed_revision))


def _settled(cluster: RolloutCluster, seconds: int = 12) -> RolloutCluster:
    for _ in range(seconds):
        cluster.reconcile()
        cluster.step(1)
    return cluster


def _uncarded() -> State:
    """Return a cluster whose candidate has passed its steps, and whose model nobody has evaluated."""
    cluster = _at("Promoting", 60.0)
    cluster.edit(**{URI: NEW, "spec__replicas": 3, "spec__requireModelCard": {}})
    return _snap(
        cluster, "a candidate waits for its card before it is promoted",
        artifacts=without_cards(cluster.observe().artifacts),
    )  # fmt: skip


def _first(**options: Any) -> RolloutCluster:
    """Return a cluster on which nothing exists yet."""
    return start_cluster(1, rounds=0, rate=0.0, **options)


def _build_states() -> dict[str, State]:
    first, begun, ready = _first(), _first(), _settled(start_cluster(1, rate=0.0))
    begun.reconcile()
    paused, promote = _at("Measuring"), _at("Measuring")
    paused.command(f"pause {paused.status.candidate_revision} 1")
    paused.reconcile()
    promote.command(f"promote {promote.status.candidate_revision} 1")
    removed = _settled(start_cluster(1, rate=0.0))
    removed.edit(spec__rollout=None, spec__replicas=3)
    asked = _settled(start_cluster(1, rate=0.0))
    asked.edit(**{URI: NEW, "spec__replicas": 3})
    crashing = _first(behave={"s3://models/scaler/v1": Behaviour(crashes=True)})
    _settled(crashing, 6)
    empty = _settled(start_cluster(1, rate=0.0))
    empty.edit(spec__replicas=0)
    invalid = _at("Measuring")
    invalid.edit(**{"spec__predictors__0__graph__children__0__name": "scaler", "spec__replicas": 3})
    unknown = _settled(start_cluster(1, rate=0.0))
    return {
        "rollout-new": _snap(first, "the first revision, its record and the key are created"),
        "rollout-first-starts": _snap(begun, "the first revision waits for its pods"),
        "rollout-first-crashes": _snap(crashing, "there is nothing to roll back to"),
        "rollout-ready": _snap(ready, "the stable revision serves, and its servers are asked now and then"),
        "rollout-not-answering": _snap(ready, "ready pods are not enough", answer=ServiceAnswer(503)),
        "rollout-not-asked-yet": _snap(ready, "nothing is said yet", answer=ServiceAnswer(pending=True)),
        "rollout-changed-and-not-read-yet": _snap(asked, "conditions are those of the earlier spec until it is known",
                                                  artifacts=Artifacts(pending=True)),
        "rollout-changed": _snap(asked, "a changed spec becomes the candidate: only the status is written"),
        "rollout-scaling": _snap(_at("Scaling"), "the candidate's children are created beside the others"),
        "rollout-rejected": _snap(_at("Scaling"), "what the API server rejects is reported, and not sent again at once",
                                  rejection=Finding("Rejected", "Service digits-x exists and has another owner")),
        "rollout-measuring": _snap(_at("Measuring"), "servers that start later read their share from a file"),
        "rollout-paused": _snap(paused, "a user holds it"),
        "rollout-promote": _snap(promote, "a user promotes it"),
        "rollout-without-card": _uncarded(),
        "rollout-promoted": _snap(_at("Promoted", 60.0), "the Service moves, and the earlier revision stays a while"),
        "rollout-promoted-and-drained": _snap(_settled(_at("Promoted", 60.0), 4), "the earlier revision goes"),
        "rollout-rolled-back": _snap(_rolled_back(), "the candidate stays until no server forwards to it"),
        "rollout-rolled-back-and-drained": _snap(_settled(_rolled_back(), 4), "the candidate goes"),
        "rollout-invalid-edit": _snap(invalid, "a rollout goes on, but no further, while the spec is invalid"),
        "rollout-removed": _snap(removed, "pods without revisions start while the stable revision serves"),
        "rollout-scaled-to-zero": _snap(empty, "without replicas it is as desired"),
        "rollout-record-lost-of-another-spec": _snap(
            _at("Measuring"), "its pods stay as they are beside the candidate, and are not deleted", revisions=()
        ),
        "rollout-record-lost": _snap(unknown, "a revision whose record is gone goes on as it is", revisions=()),
    }  # fmt: skip


STATES = _build_states()
"""By name."""
