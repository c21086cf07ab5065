"""Deployments with several predictors in each of their states, as a simulated cluster gets there."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fairlead.core.conditions import Finding
from fairlead.core.model_deployment.observed import Artifacts, ObservedTraffic, ServiceAnswer
from fairlead.core.views import ChildView

from tests.golden.rollout_states import State
from tests.support.rollouts import Behaviour, RolloutCluster
from tests.support.splits import edit, is_ready, predictor, reason, start_split

MAIN, NEXT, SHADOW = predictor("main", 90), predictor("next", 10), predictor("shadow", shadow=50)
STICKY = {"spec__stickiness": {"header": "X-User"}}


def _snap(cluster: RolloutCluster, reason: str, **changes: Any) -> State:
    return State(reason, cluster.deployment, replace(cluster.observe(), **changes), cluster.now)


def _go(cluster: RolloutCluster, until: Callable[[], bool]) -> RolloutCluster:
    for _ in range(200):
        if until():
            return cluster
        cluster.reconcile()
        cluster.step(1)
    raise AssertionError(f"not reached: {cluster.status}")


def _begun(cluster: RolloutCluster) -> RolloutCluster:
    """Store the beginning, which is a status and no more."""
    cluster.reconcile()
    return cluster


def _ready(*predictors: Any, **options: Any) -> RolloutCluster:
    cluster = start_split(1, *predictors, rate=0.0, **options)
    return _go(cluster, lambda: is_ready(cluster))


def _edited(*predictors: Any, **changes: Any) -> RolloutCluster:
    cluster = _ready(MAIN, NEXT, SHADOW)
    edit(cluster, *predictors, **changes)
    return cluster


def _at(cluster: RolloutCluster, expected: str) -> RolloutCluster:
    return _go(cluster, lambda: reason(cluster) == expected)


def _build_states() -> dict[str, State]:
    ready = _ready(MAIN, NEXT, SHADOW)
    weights = _edited(MAIN | {"traffic": 50}, NEXT | {"traffic": 50}, SHADOW)
    told = _begun(_edited(MAIN | {"traffic": 50}, NEXT | {"traffic": 50}, SHADOW, **STICKY))
    added = _at(_edited(MAIN | {"traffic": 80}, NEXT, predictor("new", 10), SHADOW), "PodsNotReady")
    failing = _ready(MAIN | {"traffic": 100}, behave={"next": Behaviour(crashes=True)})
    edit(failing, MAIN, NEXT)
    failing = _at(failing, "PodsFailing")
    removed = _begun(_edited(MAIN | {"traffic": 100}, SHADOW))
    drained = _begun(_edited(MAIN | {"traffic": 100}, SHADOW))
    drained.step(6)
    moving = _at(_edited(NEXT, MAIN, SHADOW), "EntryMoving")
    held = _at(_edited(predictor("new", 10), MAIN), "PodsNotReady")
    alone = _ready(predictor("main"))
    edit(alone, MAIN, NEXT)
    left = _edited(predictor("main"))
    left = _go(left, lambda: "next" not in str(left.children.keys()) and bool(left.status.traffic))
    empty = _at(_edited(MAIN, NEXT, SHADOW, spec__replicas=0), "ScaledToZero")
    scaled = _edited(MAIN, NEXT, spec__disruptionBudget={"maxUnavailable": 1})
    other = ChildView("digits", "uid-b")
    rejection = Finding("Rejected", "Service digits exists and has another owner")
    silent = replace(ready.observe().traffic, servers=())
    return {
        "split-begins": _snap(start_split(1, MAIN, NEXT, SHADOW, rounds=0), "only the status is written"),
        "split-service-first": _snap(
            _begun(start_split(1, MAIN, NEXT, rounds=0)), "the Service is first: it must not select other predictors"
        ),
        "split-new": _snap(
            _begun(_begun(start_split(1, MAIN, NEXT, SHADOW, rounds=0))), "the key, and each predictor's children"
        ),
        "split-rejected": _snap(
            _begun(start_split(1, MAIN, NEXT, rounds=0)), "what is rejected is reported", rejection=rejection
        ),
        "split-ready": _snap(ready, "it serves as the spec says, and servers are asked now and then"),
        "split-not-asked-yet": _snap(ready, "nothing is said yet", answer=ServiceAnswer(pending=True)),
        "split-not-answering": _snap(ready, "confirmed traffic is not enough", answer=ServiceAnswer(503)),
        "split-key-missing": _snap(ready, "the key was deleted", traffic=ObservedTraffic(key_missing=True)),
        "split-servers-silent": _snap(ready, "what was last in force and counted stays in the status", traffic=silent),
        "split-models-being-read": _snap(
            weights, "traffic does not wait for models: it is lowered at once", artifacts=Artifacts(pending=True)
        ),
        "split-weights": _snap(weights, "other weights are a status of a higher generation"),
        "split-told": _snap(told, "servers that start later read the weights from a file"),
        "split-unconfirmed": _snap(_at(told, "TrafficUnconfirmed"), "until all servers say so", traffic=silent),
        "split-added": _snap(added, "a new predictor gets nothing until its pods are ready, and is named"),
        "split-failing": _snap(failing, "it is said which predictor fails, and why"),
        "split-removed": _snap(removed, "a removed predictor stays until no server forwards to it"),
        "split-drained": _snap(drained, "and then goes"),
        "split-moving": _snap(
            moving, "servers of both predictors split before the Service moves: it waits for them", traffic=silent
        ),
        "split-held": _snap(held, "a new entry gets nothing yet, and the earlier ones go on"),
        "split-of-one": _snap(alone, "the predictor that served alone is the entry, whatever the spec is now"),
        "split-left": _snap(left, "nothing is split any more"),
        "split-scaled-to-zero": _snap(empty, "without replicas it is as the spec says"),
        "split-with-budgets": _snap(scaled, "a budget for each predictor; an earlier one goes", budgets=(other,)),
        "split-invalid": _snap(
            _edited(MAIN, predictor("next", 10, graph={"name": "a", "type": "ROUTER"})),
            "what serves goes on while the spec is invalid",
        ),
    }


SPLIT_STATES = _build_states()
"""By name."""
