"""Simulated monitoring: whatever restarts, noise is no drift, drift is found once, and its beginning is kept."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from fairlead.api.model_deployment import ModelDeployment, ModelDeploymentStatus
from fairlead.core.model_deployment.drift import DriftMeasures, find_drift, measure_drift
from fairlead.core.model_deployment.drift_plan import with_drift
from fairlead.core.plan import Plan
from fairlead_contracts.monitor import ColumnFacts, MonitorFacts, NodeFacts, TensorFacts

from tests.support.drift import merge_facts
from tests.support.resources import make_deployment
from tests.support.simulated import START

SEEDS = range(6)
COLUMNS, BINS, PODS, ROWS = 20, 16, 3, 40
TRAINING, SHIFTED = (1,) * BINS, (1,) * (BINS // 2) + (4,) * (BINS // 2)
"""The relative frequencies of bins."""
DRIFT = {"windowSeconds": 480, "minRows": 300, "maxPsi": 0.1}
READ_SECONDS, SLICES = 60, 8


class MonitoredCluster:
    """Servers that count random rows, and an operator that reads them, both of which restart by chance."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.deployment: ModelDeployment = make_deployment(spec__monitor={"drift": DRIFT})
        self.now = START
        self.reference = [self.draw(2000, TRAINING) for _ in range(COLUMNS)]
        self.slices: list[list[list[list[int]]]] = [[] for _ in range(PODS)]
        """The counts of each pod, slice and column."""
        self.conditions: list[str] = []
        self.begun: list[datetime] = []
        self.events: set[tuple[str, str]] = set()

    @property
    def status(self) -> ModelDeploymentStatus:
        return self.deployment.status

    def draw(self, rows: int, weights: Sequence[int]) -> list[int]:
        counts = [0] * (BINS + 3)
        for value in self.random.choices(range(BINS), weights, k=rows):
            counts[value + 1] += 1
        return counts

    def step(self, weights: Sequence[int]) -> None:
        """Let a minute pass: all pods count, some restart, and the operator reads, or is killed before it writes."""
        self.now += timedelta(seconds=READ_SECONDS)
        for slices in self.slices:
            # one column is shifted, and the others never are
            slices.append([self.draw(ROWS, weights if index == 0 else TRAINING) for index in range(COLUMNS)])
            del slices[:-SLICES]
            if self.random.random() < 0.03:
                slices.clear()
        measures = None if self.random.random() < 0.1 else self.read()
        plan = with_drift(Plan(self.status.model_copy(update={"conditions": ()})), self.deployment, measures, self.now)
        # events are sent before the status is written, and sent again are equal
        self.events |= {(event.reason, event.occasion) for event in plan.events}
        assert isinstance(plan.status, ModelDeploymentStatus)
        if self.random.random() < 0.9:
            stored = self.deployment.model_copy(update={"status": plan.status})
            self.deployment = ModelDeployment.model_validate(stored.model_dump(mode="json", by_alias=True))
            self.conditions.append(self.status.conditions[0].status)
            if (drift := find_drift(self.status)) and drift.since and drift.since not in self.begun:
                self.begun.append(drift.since)

    def read(self) -> DriftMeasures:
        answering = [slices for slices in self.slices if self.random.random() < 0.9]
        policy = self.deployment.spec.monitor
        assert policy is not None
        facts = [self.report(slices) for slices in answering]
        reading = DriftMeasures(self.now, PODS, len(facts), "" if facts else "nobody answers")
        return measure_drift(policy.drift, merge_facts(facts, {"main": frozenset({"m"})}), reading)

    def report(self, slices: list[list[list[int]]]) -> MonitorFacts:
        empty = [0] * (BINS + 3)
        columns = tuple(
            ColumnFacts(
                index=index, reference=tuple(self.reference[index]),
                counts=tuple(map(sum, zip(empty, *(columns[index] for columns in slices), strict=True))),
            ) for index in range(COLUMNS)
        )  # fmt: skip
        tensor = TensorFacts(side="input", name="x", columns=columns)
        rows = ROWS * len(slices)
        node = NodeFacts(node="m", digest=f"sha256:{0:064}", reference_rows=2000, rows=rows, tensors=(tensor,))
        return MonitorFacts(predictor="main", nodes=(node,))


@pytest.mark.parametrize("seed", SEEDS)
def test_requests_like_the_training_data_never_drift(seed: int) -> None:
    cluster = MonitoredCluster(seed)
    for _ in range(100):
        cluster.step(TRAINING)
    assert set(cluster.conditions[15:]) == {"False"}
    assert cluster.events == set()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_shift_is_found_once_and_ends_once(seed: int) -> None:
    cluster = MonitoredCluster(seed)
    for _ in range(20):
        cluster.step(TRAINING)
    for _ in range(30):
        cluster.step(SHIFTED)
    assert cluster.conditions[-1] == "True"
    assert len(cluster.begun) == 1
    drift = find_drift(cluster.status)
    assert drift is not None
    assert (drift.exceeded, drift.worst[0].column) == (1, 0)
    shifted = len(cluster.conditions)
    for _ in range(30):
        cluster.step(TRAINING)
    later = cluster.conditions[shifted:]
    assert later == sorted(later, reverse=True), "True until it ends, and then False"
    assert later[-1] == "False"
    reasons = [reason for reason, _ in cluster.events]
    assert reasons.count("DriftEnded") == 1
    # an operator that is killed before it writes the status finds it anew
    assert 1 <= reasons.count("DriftDetected") <= 3
