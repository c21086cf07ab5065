"""Simulated predictors: wherever the operator is killed, no request is lost or goes where the spec does not send it."""

import itertools
from datetime import timedelta

import pytest
from fairlead.core import names

from tests.support.rollouts import POLICY, Behaviour, RolloutCluster
from tests.support.splits import (
    check_children,
    edit,
    is_ready,
    predictor,
    reason,
    run,
    shares,
    start_split,
)

SEEDS = range(2)
MAIN, NEXT, SHADOW = predictor("main", 90), predictor("next", 10), predictor("shadow", shadow=50)
NEVER = Behaviour(never_ready=True)


def settle(cluster: RolloutCluster, seconds: float = 120) -> None:
    run(cluster, seconds, until=lambda: is_ready(cluster))
    assert is_ready(cluster), cluster.status
    run(cluster, 45)
    assert is_ready(cluster), cluster.status


def traffic(cluster: RolloutCluster) -> dict[str, tuple[int | None, int | None]]:
    return {each.name: (each.traffic_confirmed, each.shadow_confirmed) for each in cluster.status.predictors}


@pytest.mark.parametrize("seed", SEEDS)
def test_requests_are_split_and_copied_as_the_spec_says(seed: int) -> None:
    cluster = start_split(seed, MAIN, NEXT, SHADOW, behave={"shadow": Behaviour(differing=0.5)})
    assert traffic(cluster) == {"main": (90, None), "next": (10, None), "shadow": (0, 50)}
    found = shares(cluster, 60)
    assert found == {"main": pytest.approx(90, abs=3), "next": pytest.approx(10, abs=3)}
    measured = {each.name: each.measured for each in cluster.status.predictors}
    shadow = measured["shadow"]
    assert shadow is not None
    assert shadow.compared > 500
    assert shadow.agreed / shadow.compared == pytest.approx(0.5, abs=0.1)
    check_children(cluster)
    assert cluster.lost == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_other_weights_come_into_force_without_new_pods(seed: int) -> None:
    cluster = start_split(seed, MAIN, NEXT)
    run(cluster, 20)
    pods = set(cluster.pods)
    edit(cluster, MAIN | {"traffic": 30}, NEXT | {"traffic": 70})
    run(cluster, 10, until=lambda: is_ready(cluster))
    assert traffic(cluster) == {"main": (30, None), "next": (70, None)}
    assert shares(cluster) == {"main": pytest.approx(30, abs=4), "next": pytest.approx(70, abs=4)}
    assert set(cluster.pods) == pods
    assert cluster.lost == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_new_predictor_gets_nothing_before_its_pods_are_ready(seed: int) -> None:
    cluster = start_split(seed, MAIN | {"traffic": 100}, SHADOW)
    edit(cluster, MAIN, predictor("new", 10), SHADOW)
    cluster.behave["new"] = NEVER
    cluster.answered.clear()
    run(cluster, 60)
    assert set(cluster.answered) == {"main"}
    (message,) = [each.message for each in cluster.status.conditions if each.type == "Ready"]
    assert (reason(cluster), message) == ("PodsNotReady", "Predictor new: 0 of 2 pods are ready.")
    assert traffic(cluster)["new"] == (0, None)
    del cluster.behave["new"]
    settle(cluster)
    assert shares(cluster) == {"main": pytest.approx(90, abs=3), "new": pytest.approx(10, abs=3)}
    assert cluster.lost == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_replaced_predictor_answers_until_the_new_ones_pods_are_ready(seed: int) -> None:
    cluster = start_split(seed, predictor("main", 40), predictor("old", 60), behave={"new": NEVER})
    edit(cluster, predictor("main", 40), predictor("new", 60))
    found = shares(cluster, 60)
    assert found == {"main": pytest.approx(40, abs=4), "old": pytest.approx(60, abs=4)}
    assert ("Deployment", "digits-old") in cluster.children
    del cluster.behave["new"]
    settle(cluster)
    assert shares(cluster) == {"main": pytest.approx(40, abs=4), "new": pytest.approx(60, abs=4)}
    check_children(cluster)
    assert cluster.lost == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_removed_predictor_stays_until_no_server_forwards_to_it(seed: int) -> None:
    cluster = start_split(seed, MAIN, NEXT, SHADOW)
    cluster.deaf = 1.0
    edit(cluster, MAIN | {"traffic": 100}, SHADOW)
    run(cluster, 12)
    assert ("Deployment", "digits-next") in cluster.children, "servers have not been told"
    cluster.deaf = 0.0
    settle(cluster)
    check_children(cluster)
    assert cluster.lost == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_another_entry_takes_over_while_the_shares_stay(seed: int) -> None:
    cluster = start_split(seed, predictor("a", 80), predictor("b", 20))
    edit(cluster, predictor("b", 20), predictor("a", 80))
    found = shares(cluster, 60)
    assert cluster.status.traffic is not None
    assert (cluster.status.traffic.entry, cluster.status.traffic.splitting) == ("b", ("b",))
    assert found == {"a": pytest.approx(80, abs=4), "b": pytest.approx(20, abs=4)}
    assert {event.reason for event in cluster.events} >= {"EntryMoved"}
    settle(cluster)
    check_children(cluster)
    assert cluster.lost == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_an_entry_that_becomes_a_shadow_or_goes_answers_nothing_any_more(seed: int) -> None:
    cluster = start_split(seed, predictor("a", 80), predictor("b", 20))
    edit(cluster, predictor("b", 100), predictor("a", shadow=30))
    settle(cluster)
    assert shares(cluster) == {"b": 100}
    edit(cluster, predictor("c", 100), predictor("a", shadow=30))
    settle(cluster)
    assert shares(cluster) == {"c": 100}
    check_children(cluster)
    assert cluster.lost == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_an_entry_without_traffic_forwards_everything(seed: int) -> None:
    cluster = start_split(seed, predictor("a", 0), predictor("b", 100))
    assert shares(cluster) == {"b": 100}
    assert cluster.lost == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_deployment_with_one_predictor_is_split_and_given_back_without_losing_a_request(seed: int) -> None:
    cluster = start_split(seed, predictor("main"))
    assert cluster.status.traffic is None
    edit(cluster, MAIN, NEXT, SHADOW)
    cluster.answered.clear()
    settle(cluster)
    assert "shadow" not in cluster.answered
    check_children(cluster)
    edit(cluster, predictor("main"))
    settle(cluster)
    assert cluster.status.traffic is None
    check_children(cluster)
    assert not any(name.startswith("digits-next") for _, name in cluster.children)
    assert cluster.lost == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_all_predictors_may_be_replaced_at_once(seed: int) -> None:
    cluster = start_split(seed, predictor("main"))
    edit(cluster, predictor("a", 50), predictor("b", 50))
    settle(cluster)
    check_children(cluster)
    edit(cluster, predictor("c", 50), predictor("d", 50))
    settle(cluster)
    assert shares(cluster) == {"c": pytest.approx(50, abs=4), "d": pytest.approx(50, abs=4)}
    check_children(cluster)
    edit(cluster, predictor("e"))
    settle(cluster)
    check_children(cluster)
    assert cluster.lost == 0


def test_a_rollout_gives_way_to_predictors_and_comes_back() -> None:
    cluster = start_split(1, predictor("main"))
    edit(cluster, predictor("main"), spec__rollout=POLICY)
    run(cluster, 120, until=lambda: bool(cluster.status.stable_revision))
    run(cluster, 60)
    edit(cluster, SHADOW, predictor("main", 90), NEXT)
    settle(cluster, 240)
    assert cluster.status.stable_revision is None
    check_children(cluster)
    edit(cluster, predictor("main"), spec__rollout=POLICY)
    run(cluster, 240, until=lambda: bool(cluster.status.stable_revision))
    run(cluster, 60)
    assert {name for kind, name in cluster.children if kind == "Deployment"} == {
        f"digits-{cluster.status.stable_revision}"
    }
    assert cluster.status.traffic is None
    assert cluster.lost == 0


LIVES = {
    "weights": [(MAIN | {"traffic": 20}, NEXT | {"traffic": 80}, SHADOW)],
    "added": [(MAIN | {"traffic": 80}, NEXT, predictor("new", 10), SHADOW)],
    "removed": [(MAIN | {"traffic": 100}, SHADOW)],
    "moved": [(NEXT, SHADOW, MAIN)],
    "all": [
        (predictor("new", 50), NEXT | {"traffic": 50}),
        (NEXT | {"traffic": 100}, predictor("shadow", shadow=10)),
        (predictor("main"),),
    ],
}


@pytest.mark.parametrize(("life", "seed"), list(itertools.product(LIVES, range(3))))
def test_an_operator_that_is_killed_anywhere_ends_the_same_way(life: str, seed: int) -> None:
    cluster = start_split(seed, MAIN, NEXT, SHADOW)
    cluster.answered.clear()
    cluster.kill = cluster.deaf = 0.15
    for predictors in LIVES[life]:
        edit(cluster, *predictors)
        run(cluster, 60)
    cluster.kill = cluster.deaf = 0.0
    settle(cluster)
    assert "shadow" not in cluster.answered
    check_children(cluster)
    weights = {each["name"]: each.get("traffic", 100) for each in LIVES[life][-1] if "shadow" not in each}
    assert shares(cluster) == {name: pytest.approx(weight, abs=4) for name, weight in weights.items()}
    assert cluster.lost == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_without_replicas_nothing_is_forwarded_and_all_comes_back(seed: int) -> None:
    cluster = start_split(seed, MAIN, NEXT)
    edit(cluster, MAIN, NEXT | {"replicas": 0})
    settle(cluster)
    assert shares(cluster) == {"main": 100}
    assert cluster.lost == 0
    edit(cluster, MAIN, NEXT, spec__replicas=0)
    settle(cluster)
    assert reason(cluster) == "ScaledToZero"
    edit(cluster, MAIN, NEXT)
    settle(cluster)
    cluster.lost = 0
    assert shares(cluster) == {"main": pytest.approx(90, abs=3), "next": pytest.approx(10, abs=3)}
    assert cluster.lost == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_predictor_keeps_its_pods_until_no_server_forwards_to_them(seed: int) -> None:
    cluster = start_split(seed, MAIN, NEXT)
    cluster.deaf = 1.0
    edit(cluster, MAIN, NEXT | {"replicas": 0})
    run(cluster, 12)
    assert any(pod.predictor == "next" for pod in cluster.pods.values())
    cluster.deaf = 0.0
    settle(cluster)
    assert not any(pod.predictor == "next" for pod in cluster.pods.values())
    assert cluster.lost == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_an_earlier_entry_keeps_its_pods_until_another_one_has_taken_over(seed: int) -> None:
    cluster = start_split(seed, predictor("a", 80), predictor("b", 20), behave={"c": NEVER})
    edit(cluster, predictor("c", 100), predictor("a", 0, replicas=0))
    found = shares(cluster, 60)
    assert found == {"a": pytest.approx(80, abs=4), "b": pytest.approx(20, abs=4)}
    del cluster.behave["c"]
    settle(cluster)
    assert shares(cluster) == {"c": 100}
    assert {pod.predictor for pod in cluster.pods.values()} == {"c"}
    check_children(cluster)
    assert cluster.lost == 0


def test_an_entry_that_is_to_have_no_pods_is_named_while_another_one_answers() -> None:
    cluster = start_split(1, predictor("a", 80), predictor("b", 20))
    cluster.deaf = 1.0
    edit(cluster, predictor("b", 20, replicas=0), predictor("a", 80))
    run(cluster, 12)
    cluster.deaf = 0.0
    run(cluster, 12)
    assert shares(cluster, 60) == {"a": 100}
    assert {pod.predictor for pod in cluster.pods.values()} == {"a"}
    (message,) = [each.message for each in cluster.status.conditions if each.type == "Ready"]
    assert message == "Predictor a gets the requests until b, which has 0 replicas, takes over."
    assert cluster.lost == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_without_replicas_predictors_that_were_removed_or_renamed_go(seed: int) -> None:
    cluster = start_split(seed, MAIN, NEXT, SHADOW)
    edit(cluster, MAIN | {"traffic": 100}, SHADOW, spec__replicas=0)
    settle(cluster)
    check_children(cluster)
    edit(cluster, MAIN | {"traffic": 100}, SHADOW)
    settle(cluster)
    edit(cluster, predictor("a", 50), predictor("b", 50), spec__replicas=0)
    settle(cluster)
    assert reason(cluster) == "ScaledToZero"
    assert not cluster.pods
    check_children(cluster)


def test_a_predictor_that_fails_does_not_keep_one_with_a_longer_name() -> None:
    cluster = start_split(1, predictor("main", 50), predictor("next", 25), predictor("next2", 25))
    failing = {"name": "model", "modelUri": "s3://models/next/v2"}
    cluster.behave["next"] = NEVER
    edit(cluster, predictor("main", 75), predictor("next", 25, graph=failing))
    run(cluster, 60)
    assert reason(cluster) == "PodsNotReady"
    assert not [name for _, name in cluster.children if name.startswith("digits-next2")]
    assert cluster.lost == 0


def test_the_predictor_that_serves_answers_on_if_the_spec_changes_twice() -> None:
    cluster = start_split(1, predictor("a"), behave={"b": NEVER, "c": NEVER})
    edit(cluster, predictor("b"))
    run(cluster, 20)
    edit(cluster, predictor("b", 90), predictor("c", 10))
    assert shares(cluster) == {"a": 100}
    del cluster.behave["b"], cluster.behave["c"]
    settle(cluster)
    check_children(cluster)
    assert cluster.lost == 0


def test_an_earlier_entry_splits_until_routes_have_changed_also_if_the_operator_was_gone_for_long() -> None:
    cluster = start_split(1, predictor("a", 80), predictor("b", 20))
    edit(cluster, predictor("b", 20), predictor("a", 80))
    run(cluster, 60, until=lambda: bool(cluster.status.traffic and cluster.status.traffic.entry == "b"))
    cluster.step(60)  # before the Service is applied
    for _ in range(3):
        cluster.reconcile()
        assert cluster.status.traffic is not None
        assert cluster.status.traffic.splitting == ("a", "b")
    settle(cluster)
    check_children(cluster)
    assert cluster.lost == 0


def test_an_operator_that_starts_says_what_was_confirmed_before() -> None:
    cluster = start_split(1, MAIN, NEXT)
    run(cluster, 20)
    before = cluster.status.traffic
    assert before is not None
    assert before.confirmed == before.servers == 4
    cluster.asked = False
    cluster.reconcile()
    assert (cluster.status.traffic, is_ready(cluster)) == (before, True)


def test_a_clock_that_goes_back_deletes_no_predictor_that_still_gets_requests() -> None:
    cluster = start_split(1, MAIN, NEXT)
    edit(cluster, MAIN | {"traffic": 100}, predictor("shadow", shadow=10))
    cluster.reconcile()
    cluster.deaf = 1.0  # before servers are told
    cluster.now -= timedelta(hours=5)
    run(cluster, 20)
    assert cluster.lost == 0
    cluster.deaf = 0.0
    settle(cluster)
    check_children(cluster)


def test_autoscalers_see_the_entry_and_each_predictor_has_a_budget() -> None:
    cluster = start_split(1, MAIN, NEXT)
    scaled = {
        "spec__autoscaling": {"minReplicas": 1, "maxReplicas": 4, "targetConcurrency": 5},
        "spec__disruptionBudget": {"maxUnavailable": 1},
    }
    edit(cluster, MAIN, NEXT | {"replicas": 5}, **scaled)
    run(cluster, 60)
    assert cluster.status.replicas == 2
    assert cluster.status.selector is not None
    assert "fairlead.dev/predictor=main" in cluster.status.selector
    budgets = {name: obj for (kind, name), obj in cluster.children.items() if kind == "PodDisruptionBudget"}
    for each in cluster.status.predictors:
        budget = budgets[names.predictor_service_name(cluster.deployment, each.name)]
        assert budget["spec"]["selector"]["matchLabels"][names.PREDICTOR] == each.name
    assert len(budgets) == 2
    edit(cluster, MAIN, NEXT)
    run(cluster, 60)
    assert not [name for kind, name in cluster.children if kind in ("PodDisruptionBudget", "HorizontalPodAutoscaler")]
