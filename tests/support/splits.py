"""Simulated deployments with several predictors."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from fairlead.core import names

from tests.support.resources import Object, make_deployment
from tests.support.rollouts import Behaviour, RolloutCluster

Check = Callable[[RolloutCluster], None]
LONGEST = 2.0
"""Seconds between two reconciles, at most."""


def predictor(name: str, traffic: int | None = None, shadow: int | None = None, **fields: Any) -> Object:
    """Return a predictor with a model of its own."""
    share = {} if traffic is None else {"traffic": traffic}
    copies = {} if shadow is None else {"shadow": {"percent": shadow}}
    return {"name": name, "graph": {"name": "model", "modelUri": f"s3://models/{name}/v1"}} | share | copies | fields


def start_split(
    seed: int, *predictors: Object, behave: dict[str, Behaviour] | None = None, rounds: int = 60, **options: Any
) -> RolloutCluster:
    """Return a cluster on which a deployment with these predictors serves, if `rounds` are enough."""
    deployment = make_deployment(spec__predictors=list(predictors), spec__replicas=2)
    cluster = RolloutCluster(deployment, behave or {}, random.Random(seed), **options)
    for _ in range(rounds):
        cluster.reconcile()
        cluster.step(1)
        if is_ready(cluster):
            break
    return cluster


def edit(cluster: RolloutCluster, *predictors: Object, **changes: Any) -> None:
    """Change the predictors, and perhaps more."""
    cluster.edit(**{"spec__rollout": None, "spec__replicas": 2, "spec__predictors": list(predictors), **changes})


def run(cluster: RolloutCluster, seconds: float, *checks: Check, until: Callable[[], bool] = lambda: False) -> None:
    """Reconcile and let time pass; what must always hold is checked after each."""
    end = cluster.now + timedelta(seconds=seconds)
    while cluster.now < end and not until():
        cluster.reconcile()
        check_servers(cluster)
        for check in checks:
            check(cluster)
        cluster.step(cluster.random.choice((0.5, 1.0, LONGEST)))


def check_servers(cluster: RolloutCluster) -> None:
    """No server has routes that the stored status does not give it, or gave it before."""
    state = cluster.status.traffic
    for name, pod in cluster.pods.items():
        document = cluster.servers[name].document
        if state is None or document is None:
            continue
        assert document.generation <= state.generation
        if document.generation == state.generation:
            assert bool(document.routes) <= (pod.predictor in state.splitting)
        assert all(route.name != pod.predictor for route in document.routes)


def is_ready(cluster: RolloutCluster) -> bool:
    """Return whether the spec's predictors serve as it says."""
    conditions = {condition.type: condition for condition in cluster.status.conditions}
    generation = cluster.deployment.metadata.generation
    ready = conditions.get("Ready")
    return bool(ready) and (ready.status, cluster.status.observed_generation) == ("True", generation)  # type: ignore[union-attr]


def reason(cluster: RolloutCluster) -> str:
    """Return the reason of the condition Ready."""
    return next(condition.reason for condition in cluster.status.conditions if condition.type == "Ready")


def shares(cluster: RolloutCluster, seconds: float = 40.0) -> dict[str, float]:
    """Return the percentages of requests that each predictor answers from now on."""
    cluster.answered.clear()
    run(cluster, seconds)
    total = sum(cluster.answered.values())
    return {name: 100 * count / total for name, count in cluster.answered.items()}


def expected_children(cluster: RolloutCluster) -> set[tuple[str, str]]:
    """Return what exists once the spec is in force: that of each predictor, the Service, the key, a first document."""
    deployment, found = cluster.deployment, {("Service", "digits"), ("Secret", "digits-traffic")}
    several = len(deployment.spec.predictors) > 1
    for each in deployment.spec.predictors:
        child = names.predictor_name(deployment, each.name)
        found |= {("Deployment", child)}
        found |= {key for key in cluster.children if key[0] == "ConfigMap" and key[1].startswith(f"{child}-")}
        found |= {("Service", names.predictor_service_name(deployment, each.name))} if several else set()
    return found


def check_children(cluster: RolloutCluster) -> None:
    """Nothing is left over, and nothing is missing."""
    assert cluster.children.keys() == expected_children(cluster)
    documents = [name for kind, name in cluster.children if kind == "ConfigMap" and name.endswith("-traffic")]
    graphs = [name for kind, name in cluster.children if kind == "ConfigMap" and not name.endswith("-traffic")]
    several = len(cluster.deployment.spec.predictors) > 1
    assert (len(documents), len(graphs)) == (int(several), len(cluster.deployment.spec.predictors))
