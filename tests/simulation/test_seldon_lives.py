"""Simulated lives in Seldon Core: wherever the operator is killed, it gets there, and Ready is never said too early."""

import random
from typing import Any

import pytest
from fairlead.core.model_deployment.seldon_ports import list_served

from tests.support.seldon_cluster import SeldonCluster
from tests.support.seldon_shapes import LEAF, LIVE, SHADOW, SPECS, make_seldon

STEPS = 60
ONE = {"replicas": 2, "predictors": [{"name": "main", "graph": LEAF}]}
CHANGED = {"replicas": 2, "predictors": [
    {"name": "main", "graph": LEAF, "batching": {"maxBatchSize": 4, "maxDelayMilliseconds": 1}},
]}  # fmt: skip
SEVERAL = {"predictors": [*LIVE, SHADOW]}
EDITS = [(ONE, CHANGED), (ONE, SEVERAL), (SEVERAL, ONE), (ONE, SPECS["scaling"]), (ONE, ONE | {"replicas": 4})]


def start(seed: int, spec: Any) -> SeldonCluster:
    return SeldonCluster(make_seldon(spec), random.Random(seed))


def count(cluster: SeldonCluster, kind: str) -> int:
    return sum(known == kind for known, _ in cluster.children)


def check_end(cluster: SeldonCluster) -> None:
    assert cluster.ready, cluster.status.conditions
    predictors = cluster.deployment.spec.predictors
    served = [each for each in predictors if list_served(each)]
    assert count(cluster, "ConfigMap") == len(served), "nothing is left of an earlier spec"
    assert count(cluster, "PodDisruptionBudget") == (cluster.deployment.spec.disruption_budget is not None)
    assert [each.name for each in cluster.status.predictors] == [each.name for each in predictors]
    before = cluster.writes
    cluster.run(3)
    assert cluster.writes == before, "nothing is written once it serves"


@pytest.mark.parametrize("shape", SPECS)
def test_every_shape_is_served(shape: str) -> None:
    cluster = start(1, SPECS[shape])
    cluster.run(STEPS)
    check_end(cluster)


@pytest.mark.parametrize("edit", range(len(EDITS)))
@pytest.mark.parametrize("seed", range(2))
def test_an_operator_that_is_killed_at_any_write_goes_on(seed: int, edit: int) -> None:
    before, after = EDITS[edit]

    def live(kill_at: int | None) -> SeldonCluster:
        cluster = start(seed, before)
        cluster.kill_at = kill_at
        cluster.run(STEPS)
        assert cluster.ready
        cluster.edit(make_seldon(after))
        cluster.run(STEPS)
        check_end(cluster)
        return cluster

    writes = live(None).writes
    assert writes > 4
    for kill_at in range(writes):
        live(kill_at)


def test_two_edits_while_pods_are_replaced_end_at_the_second() -> None:
    for seed in range(5):
        cluster = start(seed, ONE)
        cluster.run(STEPS)
        cluster.edit(make_seldon(CHANGED))
        cluster.run(seed + 1)
        cluster.edit(make_seldon(SEVERAL))
        cluster.run(STEPS * 2)
        check_end(cluster)


def test_seldon_core_that_is_installed_later_is_used() -> None:
    cluster = start(0, ONE)
    cluster.installed = False
    cluster.run(5)
    assert (cluster.reason, cluster.children) == ("SeldonNotInstalled", {})
    cluster.installed = True
    cluster.run(STEPS)
    check_end(cluster)
