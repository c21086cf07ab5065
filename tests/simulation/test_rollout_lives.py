"""Simulated rollouts: whatever a candidate does, and wherever the operator is killed, it has no more than its share."""

import itertools
from collections.abc import Callable
from datetime import timedelta

import pytest
from fairlead.core import names
from fairlead.core.model_deployment.traffic import read_evidence
from fairlead.core.model_deployment.verdicts import judge

from tests.support.rollouts import POLICY, URI, Behaviour, RolloutCluster, start_cluster

NEW = "s3://models/scaler/v2"
SEEDS = range(2)
BAD = {
    "erring": Behaviour(errors=0.3),
    "slow": Behaviour(slow=0.2),
    "wrong": Behaviour(differing=0.5),
    "crashing": Behaviour(crashes=True),
    "never ready": Behaviour(never_ready=True),
    "flapping": Behaviour(flaps=True),
}
LONGEST = 2.0
"""Seconds between two reconciles, at most."""
Check = Callable[[RolloutCluster], None]


def run(cluster: RolloutCluster, seconds: float, *checks: Check, until: Callable[[], bool] = lambda: False) -> None:
    """Reconcile and let time pass; what must always hold is checked after each."""
    end = cluster.now + timedelta(seconds=seconds)
    reaction = Reaction()
    while cluster.now < end and not until():
        cluster.reconcile()
        check_share(cluster)
        check_verdicts(cluster)
        for check in checks:
            check(cluster)
        cluster.step(cluster.random.choice((0.5, 1.0, LONGEST)))
        if not cluster.kill and not cluster.deaf:
            reaction.check(cluster)


def check_share(cluster: RolloutCluster) -> None:
    """A candidate has at most the share of its step, on every server."""
    rollout = cluster.deployment.spec.rollout
    status = cluster.status.rollout
    if rollout is None or status is None:
        return
    most = rollout.steps[min(status.step, len(rollout.steps) - 1)].traffic if cluster.status.candidate_revision else 100
    assert status.weight <= most
    for server in cluster.servers.values():
        document = server.document
        if document and server.revision == cluster.status.stable_revision:
            assert all(route.percent <= max(most, status.weight) for route in document.routes)


def check_verdicts(cluster: RolloutCluster) -> None:
    """Nothing is judged by fewer than minRequests requests."""
    least = POLICY["analysis"]["minRequests"]  # type: ignore[index]
    for verdict in cluster.status.rollout.verdicts if cluster.status.rollout else ():
        assert verdict.result == "Inconclusive" or verdict.requests >= least


class Reaction:
    """A candidate against which there is enough evidence loses its share within an interval."""

    def __init__(self) -> None:
        self.since: object = None

    def check(self, cluster: RolloutCluster) -> None:
        policy, status = cluster.deployment.spec.rollout, cluster.status
        if policy is None:
            return
        found = read_evidence(status, cluster.observe().traffic.servers, policy.analysis.max_p99_seconds)
        if not status.candidate_revision or judge(policy.analysis, found).result != "Failed":
            self.since = None
            return
        self.since = self.since or cluster.now
        waited = (cluster.now - self.since).total_seconds()  # type: ignore[operator]
        assert waited <= policy.analysis.interval_seconds + LONGEST


def in_use(cluster: RolloutCluster) -> set[str]:
    return {name for kind, name in cluster.children if kind == "Deployment"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_good_candidate_is_promoted_and_the_earlier_one_goes(seed: int) -> None:
    cluster = start_cluster(seed)
    first = cluster.status.stable_revision
    cluster.edit(**{URI: NEW, "spec__replicas": 3})
    run(cluster, 600, until=lambda: cluster.status.stable_revision != first)
    second = cluster.status.stable_revision
    assert second != first
    run(cluster, 40)
    assert in_use(cluster) == {f"digits-{second}"}
    told = [event.reason for event in cluster.events if event.action == "Rollout" and event.reason != "RolloutHeld"]
    assert told == [
        "RolloutStarted", "StepStarted", "StepPassed", "StepStarted", "RolloutPromoting", "Promoted",
    ]  # fmt: skip
    assert cluster.lost == 0


@pytest.mark.parametrize(("kind", "seed"), list(itertools.product(BAD, SEEDS)))
def test_a_bad_candidate_is_rolled_back_and_the_spec_is_not_tried_again(kind: str, seed: int) -> None:
    cluster = start_cluster(seed, {NEW: BAD[kind]})
    stable = cluster.status.stable_revision
    cluster.edit(**{URI: NEW, "spec__replicas": 3})
    run(cluster, 900, until=lambda: bool(cluster.status.rollout and cluster.status.rollout.failed_revision))
    run(cluster, 120)
    rollout = cluster.status.rollout
    assert rollout is not None
    assert (cluster.status.stable_revision, cluster.status.candidate_revision) == (stable, None)
    assert in_use(cluster) == {f"digits-{stable}"}
    assert len([event for event in cluster.events if event.reason == "RolloutStarted"]) == 1
    assert rollout.reason in ("AnalysisFailed", "CandidateFailing", "RolloutDeadlineExceeded")
    assert cluster.lost == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_crashing_candidate_never_gets_a_request(seed: int) -> None:
    cluster = start_cluster(seed, {NEW: BAD["crashing"]})
    cluster.edit(**{URI: NEW, "spec__replicas": 3})

    def no_routes(cluster: RolloutCluster) -> None:
        assert not any(server.document and server.document.routes for server in cluster.servers.values())

    run(cluster, 200, no_routes)
    assert cluster.status.rollout is not None
    assert cluster.status.rollout.reason == "CandidateFailing"


@pytest.mark.parametrize("seed", SEEDS)
def test_without_requests_a_candidate_is_neither_promoted_nor_kept_for_ever(seed: int) -> None:
    cluster = start_cluster(seed, rate=0.2)
    stable = cluster.status.stable_revision
    cluster.edit(**{URI: NEW, "spec__replicas": 3})
    run(cluster, 600)
    assert cluster.status.stable_revision == stable
    assert cluster.status.rollout is not None
    assert cluster.status.rollout.reason == "RolloutDeadlineExceeded"


@pytest.mark.parametrize(("good", "seed"), list(itertools.product([True, False], range(5))))
def test_an_operator_that_is_killed_anywhere_ends_the_same_way(good: bool, seed: int) -> None:
    cluster = start_cluster(seed, {} if good else {NEW: BAD["erring"]}, kill=0.1, deaf=0.1)
    first = cluster.status.stable_revision
    cluster.edit(**{URI: NEW, "spec__replicas": 3})
    run(cluster, 600)
    cluster.kill = cluster.deaf = 0.0
    run(cluster, 60)
    assert (cluster.status.stable_revision != first) == good
    assert in_use(cluster) == {f"digits-{cluster.status.stable_revision}"}
    assert cluster.lost == 0


def test_an_operator_that_has_just_started_does_not_say_that_servers_do_something_else() -> None:
    cluster = start_cluster(1)
    run(cluster, 60)
    written = cluster.status
    assert written.rollout is not None
    assert (written.rollout.servers, written.rollout.confirmed) == (3, 3)
    cluster.asked = False
    cluster.reconcile()
    assert cluster.status == written
    cluster.asked, cluster.deaf = True, 1.0
    cluster.reconcile()
    assert cluster.status.rollout is not None
    assert cluster.status.rollout.confirmed == 0, "servers that do not answer count"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_second_edit_replaces_the_candidate_and_a_return_removes_it(seed: int) -> None:
    cluster = start_cluster(seed)
    stable = cluster.status.stable_revision
    cluster.edit(**{URI: NEW, "spec__replicas": 3})
    run(cluster, 25)
    first = cluster.status.candidate_revision
    cluster.edit(**{URI: "s3://models/scaler/v3", "spec__replicas": 3})
    run(cluster, 60, until=lambda: cluster.status.candidate_revision not in (first, None))
    second = cluster.status.candidate_revision
    assert len({stable, first, second, None}) == 4
    run(cluster, 12)
    assert f"digits-{first}" not in in_use(cluster)
    cluster.edit(spec__replicas=3)
    run(cluster, 60)
    assert (cluster.status.stable_revision, cluster.status.candidate_revision) == (stable, None)
    assert in_use(cluster) == {f"digits-{stable}"}
    assert cluster.lost == 0


@pytest.mark.parametrize("hours", [-5, 5, 500])
def test_a_jump_of_the_clock_neither_promotes_nor_rolls_back(hours: int) -> None:
    cluster = start_cluster(1)
    cluster.edit(**{URI: NEW, "spec__replicas": 3})
    run(cluster, 200, until=lambda: bool(cluster.status.rollout and cluster.status.rollout.weight))
    candidate = cluster.status.candidate_revision
    cluster.rate = 0
    for server in cluster.servers.values():
        server.counts = [0] * 5
    cluster.now += timedelta(hours=hours)
    run(cluster, 30)
    assert cluster.status.candidate_revision == candidate
    assert cluster.status.rollout is not None
    assert cluster.status.rollout.step == 0
    cluster.rate = 20
    run(cluster, 600, until=lambda: cluster.status.stable_revision == candidate)
    assert cluster.status.stable_revision == candidate


def test_a_deployment_from_before_is_adopted_and_given_back_without_losing_a_request() -> None:
    cluster = start_cluster(3)
    cluster.edit(spec__rollout=None, spec__replicas=3)
    run(cluster, 120)
    assert cluster.status.stable_revision is None
    assert in_use(cluster) == {"digits-main"}
    assert not [name for kind, name in cluster.children if kind == "ControllerRevision"]
    cluster.edit(spec__replicas=3)
    run(cluster, 120)
    assert in_use(cluster) == {f"digits-{cluster.status.stable_revision}"}
    selector = cluster.children["Service", "digits"]["spec"]["selector"]
    assert selector[names.REVISION] == cluster.status.stable_revision
    assert cluster.lost == 0


def test_a_clock_that_goes_back_deletes_no_candidate_that_still_gets_requests() -> None:
    cluster = start_cluster(1, {NEW: BAD["erring"]})
    cluster.edit(**{URI: NEW, "spec__replicas": 3})
    while not (cluster.status.rollout and cluster.status.rollout.failed_revision):
        cluster.step(1)
        cluster.reconcile()
    cluster.deaf = 1.0  # before servers are told
    cluster.now -= timedelta(hours=5)
    run(cluster, 20)
    assert cluster.lost == 0
    cluster.deaf = 0.0
    run(cluster, 20)
    assert in_use(cluster) == {f"digits-{cluster.status.stable_revision}"}
