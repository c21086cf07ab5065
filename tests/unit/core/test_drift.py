"""Drift: what is decided from counts, with figures, and not from noise."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import pytest
from fairlead.api.model_deployment import ModelDeployment, ModelDeploymentStatus
from fairlead.api.monitor import Drift
from fairlead.core.model_deployment.drift import (
    DriftMeasures,
    critical_psi,
    find_drift,
    measure_drift,
)
from fairlead.core.model_deployment.drift_facts import DriftSum, MergedColumn, MergedDrift
from fairlead.core.model_deployment.drift_plan import with_drift
from fairlead.core.plan import Plan
from fairlead_contracts.binning import Binning
from fairlead_contracts.monitor import ColumnFacts, MonitorFacts, NodeFacts, TensorFacts
from fairlead_contracts.psi import measure_psi
from fairlead_contracts.reference import MAX_SLOTS, Numbers, TensorReference

from tests.support.drift import merge_facts

POLICY = Drift(window_seconds=600, min_rows=100, max_psi=0.2)
MODELS = {"main": frozenset({"model"})}
NOW = datetime(2026, 3, 1, tzinfo=UTC)
DIGEST, OTHER = "sha256:" + "0" * 64, "sha256:" + "1" * 64


def build_facts(
    *counts: Sequence[int], reference: Sequence[int] = (0, 250, 250, 250, 250, 0, 0), digest: str = DIGEST,
    rows: int | None = None, **changes: Any,
) -> MonitorFacts:  # fmt: skip
    columns = tuple(
        ColumnFacts(index=index, reference=tuple(reference), counts=tuple(each)) for index, each in enumerate(counts)
    )
    tensor = TensorFacts(side="input", name="image", columns=columns)
    values = {"node": "model", "digest": digest, "reference_rows": sum(reference), "tensors": (tensor,), **changes}
    found = sum(counts[0]) if rows is None and counts else rows or 0
    return MonitorFacts(predictor="main", nodes=(NodeFacts(**values, rows=found),))


def measure(*servers: MonitorFacts) -> DriftMeasures:
    return measure_drift(POLICY, merge_facts(servers, MODELS), DriftMeasures(NOW, len(servers), len(servers)))


SAME, SHIFTED = (0, 50, 51, 49, 50, 0, 0), (0, 0, 0, 10, 190, 0, 0)
BETWEEN = (0, 14, 43, 50, 93, 0, 0)
"""Beyond the limit by its index, which is not certain."""


class Life:
    """A deployment's status over several readings."""

    def __init__(self) -> None:
        spec = {
            "predictors": [
                {"name": "main", "graph": {"name": "model", "type": "MODEL", "modelUri": "s3://models/digits"}}
            ]
        }
        spec["monitor"] = {"drift": POLICY.model_dump(by_alias=True, exclude_unset=True)}  # type: ignore[assignment]
        meta = {"name": "digits", "generation": 3}
        self.deployment = ModelDeployment.model_validate({"metadata": meta, "spec": spec})
        self.now = NOW
        self.events: list[str] = []

    def read(self, measures: DriftMeasures | None, seconds: float = 60) -> str:
        """Reconcile with what was measured; return the condition."""
        self.now += timedelta(seconds=seconds)
        measures = measures and replace(measures, read_at=self.now)
        # the planners build all other conditions anew
        plan = with_drift(Plan(self.status.model_copy(update={"conditions": ()})), self.deployment, measures, self.now)
        assert isinstance(plan.status, ModelDeploymentStatus)
        self.deployment = self.deployment.model_copy(update={"status": plan.status})
        self.events += [event.reason for event in plan.events]
        assert plan.requeue_after == 75
        (condition,) = plan.status.conditions
        return f"{condition.status} {condition.reason}"

    @property
    def status(self) -> ModelDeploymentStatus:
        return self.deployment.status


def test_a_shift_is_found_with_its_figures_and_ends_with_an_event() -> None:
    life = Life()
    assert life.read(None) == "Unknown Measuring"
    assert life.read(measure(build_facts(SAME, SAME))) == "False WithinLimit"
    assert life.read(measure(build_facts(SAME, SHIFTED))) == "True DataDrifted"
    begun = life.now
    assert life.read(measure(build_facts(SAME, SHIFTED))) == "True DataDrifted"
    drift = find_drift(life.status)
    assert drift is not None
    assert (drift.since, drift.rows, drift.columns, drift.exceeded) == (begun, 200, 2, 1)
    assert (drift.worst[0].tensor, drift.worst[0].column, drift.worst[0].node) == ("image", 1, "model")
    assert drift.worst[0].psi > drift.worst[0].critical_psi > POLICY.max_psi
    (condition,) = life.status.conditions
    assert condition.message.startswith(
        "1 of 2 columns exceed a PSI of 0.2 in 200 rows in 600 s: model input image[1]: "
    )
    assert condition.last_transition_time == begun.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert life.read(measure(build_facts(SAME, SAME))) == "False WithinLimit"
    assert find_drift(life.status) is None
    assert life.events == ["DriftDetected", "DriftEnded"]


def test_between_the_bounds_the_last_verdict_stays() -> None:
    life, between = Life(), measure(build_facts(BETWEEN))
    assert (between.exceeded, between.above) == (0, 1)
    assert life.read(between) == "False WithinLimit"
    assert life.read(measure(build_facts(SHIFTED))) == "True DataDrifted"
    assert life.read(between) == "True DataDrifted"
    assert life.read(measure(build_facts(SAME))) == "False WithinLimit"
    assert life.read(between) == "False WithinLimit"
    assert life.events == ["DriftDetected", "DriftEnded"]


def test_a_verdict_outlives_servers_that_restart_but_no_longer_than_a_window() -> None:
    life = Life()
    life.read(measure(build_facts(SHIFTED)))
    few = measure(build_facts((0, 1, 1, 1, 1, 0, 0)))
    for measures in (few, None, DriftMeasures(NOW, servers=1, problem="timeout"), few):
        assert life.read(measures) == "True DataDrifted"
    assert life.read(few, seconds=600) == "Unknown TooFewRows"
    assert life.read(DriftMeasures(NOW, servers=1, problem="A server timed out.")) == "Unknown MonitorNotAnswering"
    assert life.events == ["DriftDetected"]
    assert find_drift(life.status) is None


def measure_two(first: Sequence[int] | None, second: Sequence[int] | None) -> DriftMeasures:
    """Return a reading of two models, of which one may be missing."""
    nodes = [
        build_facts(counts).nodes[0].model_copy(update={"node": name})
        for name, counts in (("a", first), ("b", second))
        if counts
    ]
    merged = merge_facts([MonitorFacts(predictor="main", nodes=tuple(nodes))], {"main": frozenset({"a", "b"})})
    return measure_drift(POLICY, merged, DriftMeasures(NOW, 2, len(nodes)))


@pytest.mark.parametrize("partial", [(SHIFTED, None), (None, SAME), ((0, 1, 1, 1, 1, 0, 0), None)])
def test_a_reading_without_some_model_does_not_restart_drift(partial: tuple[Any, Any]) -> None:
    life = Life()
    life.read(measure_two(SHIFTED, SAME))
    for measures in (measure_two(*partial), measure_two(BETWEEN, SAME), measure_two(*partial)):
        assert life.read(measures) == "True DataDrifted"
    assert life.events == ["DriftDetected"]
    assert life.read(measure_two(SAME, SAME)) == "False WithinLimit"
    assert life.events == ["DriftDetected", "DriftEnded"]


def test_a_model_that_is_missing_for_a_window_no_longer_counts() -> None:
    life = Life()
    life.read(measure_two(SHIFTED, SAME))
    assert life.read(measure_two(None, SAME), seconds=600) == "False WithinLimit"
    assert life.read(measure_two(None, SHIFTED)) == "True DataDrifted"


@pytest.mark.parametrize("gap", [measure(build_facts((0, 1, 1, 1, 1, 0, 0))), DriftMeasures(NOW, 1, problem="timeout")])
def test_drift_goes_on_or_ends_once_after_a_gap(gap: DriftMeasures) -> None:
    life = Life()
    life.read(measure(build_facts(SHIFTED)))
    since = life.status.drift and life.status.drift.since
    for _ in range(2):
        assert life.read(gap, seconds=700).startswith("Unknown ")
        assert find_drift(life.status) is None
    assert life.read(measure(build_facts(SHIFTED))) == "True DataDrifted"
    assert life.status.drift is not None
    assert life.status.drift.since == since
    assert life.events == ["DriftDetected"]
    assert life.read(gap, seconds=700).startswith("Unknown ")
    assert life.read(measure(build_facts(SAME))) == "False WithinLimit"
    assert life.events == ["DriftDetected", "DriftEnded"]


def test_a_verdict_about_other_models_does_not_count() -> None:
    life = Life()
    life.read(measure(build_facts(SHIFTED)))
    few = (0, 1, 1, 1, 1, 0, 0)
    assert life.read(measure(build_facts(few, digest=OTHER))) == "Unknown TooFewRows"
    assert life.read(measure(build_facts(BETWEEN, digest=OTHER))) == "False WithinLimit"


def test_a_restarted_operator_goes_on_from_the_status() -> None:
    life = Life()
    life.read(measure(build_facts(SHIFTED)))
    since = life.status.drift and life.status.drift.since
    again = ModelDeployment.model_validate(life.deployment.model_dump(mode="json", by_alias=True))
    life.deployment = again
    assert life.read(None) == "True DataDrifted"
    assert life.read(measure(build_facts(SHIFTED))) == "True DataDrifted"
    assert life.status.drift is not None
    assert life.status.drift.since == since
    assert life.events == ["DriftDetected"]


@pytest.mark.parametrize("counts", [SAME, SHIFTED, (0, 1, 1, 1, 1, 0, 0)], ids=["same", "shifted", "few"])
def test_the_same_reading_makes_the_same_status_whenever_it_is_planned(counts: Sequence[int]) -> None:
    life, reading = Life(), measure(build_facts(counts))
    for _ in range(2):
        plan = with_drift(Plan(life.status), life.deployment, reading, life.now)
        before, life.now = life.status, life.now + timedelta(seconds=7)
        assert isinstance(plan.status, ModelDeploymentStatus)
        life.deployment = life.deployment.model_copy(update={"status": plan.status})
    assert life.status == before
    assert plan.events == ()


def test_nothing_is_said_once_monitoring_is_removed() -> None:
    life = Life()
    life.read(measure(build_facts(SHIFTED)))
    spec = life.deployment.spec.model_copy(update={"monitor": None})
    life.deployment = life.deployment.model_copy(update={"spec": spec})
    plan = with_drift(Plan(life.status), life.deployment, None, life.now)
    assert isinstance(plan.status, ModelDeploymentStatus)
    assert (plan.status.conditions, plan.status.drift, plan.requeue_after) == ((), None, None)
    life.deployment = life.deployment.model_copy(update={"status": plan.status})
    assert with_drift(Plan(plan.status), life.deployment, None, life.now).status is plan.status


def test_models_without_a_reference_leave_it_unknown_and_say_why() -> None:
    node = NodeFacts(node="model", digest=DIGEST, problem="there is no reference.json beside model.onnx")
    life = Life()
    assert life.read(measure(MonitorFacts(predictor="main", nodes=(node,)))) == "Unknown NoReference"
    assert life.status.conditions[0].message == "Node model: there is no reference.json beside model.onnx."


def test_counts_are_added_over_servers_of_the_same_model_only() -> None:
    half = tuple(count // 2 for count in SAME)
    merged = merge_facts([build_facts(half), build_facts(half), build_facts(SHIFTED, digest=OTHER)], MODELS)
    (column,) = merged.columns
    assert column.counts == tuple(2 * count for count in half)
    assert (merged.rows, column.reference_rows) == (2 * sum(half), 1000)
    other = build_facts(half, reference=(0, 1, 250, 250, 250, 0, 0))
    assert merge_facts([build_facts(half), build_facts(half), other], MODELS).columns[0].counts == column.counts


def test_values_of_one_row_are_no_independent_evidence() -> None:
    # a tensor of free width: 200 values are of 20 rows
    (column,) = merge_facts([build_facts(SHIFTED, rows=20)], MODELS).columns
    assert column.rows == 20
    assert measure(build_facts(SHIFTED, rows=20)).columns == 0


def test_nonsense_of_a_server_is_bounded() -> None:
    largest = 2**53 - 1
    full = build_facts((largest,) * 7, reference=(largest,) * 7, rows=largest, reference_rows=largest)
    measures = measure(full, full, full)
    assert (measures.exceeded, measures.rows) == (0, largest)
    lies = build_facts((0, 0, 0, 0, 0, 0, largest), reference=(0,) * 7, reference_rows=5, rows=largest)
    assert measure(lies).columns == 0
    models = [build_facts(SAME, digest=f"sha256:{index:064x}") for index in range(40_000)]
    assert sum(len(column.counts) for column in merge_facts(models, MODELS).columns) == 7


def test_names_that_are_not_of_the_spec_are_dropped() -> None:
    (node,) = build_facts(SAME).nodes
    other = MonitorFacts(predictor="main", nodes=(node.model_copy(update={"node": "other"}),))
    assert merge_facts([MonitorFacts(predictor="dark", nodes=(node,)), other], MODELS) == MergedDrift(partial=True)


def test_servers_that_name_many_predictors_do_not_add_up_to_more_than_one_of_each_may_have() -> None:
    columns = tuple(ColumnFacts(index=index, reference=(1,) * 8, counts=(1,) * 8) for index in range(256))
    tensors = tuple(TensorFacts(side="input", name=f"{index}", columns=columns) for index in range(10))
    servers = [
        MonitorFacts(
            predictor=f"p{server % 2}",
            nodes=(NodeFacts(node="model", digest=f"sha256:{server:064x}", reference_rows=8, rows=8, tensors=tensors),),
        )
        for server in range(10)
    ]
    for known in (1, 2):
        total = DriftSum({f"p{index}": frozenset({"model"}) for index in range(known)})
        for facts in servers:
            total.add(facts)
        assert total.slots == known * MAX_SLOTS


@pytest.mark.parametrize("limit", [0.02, 0.2])
@pytest.mark.parametrize(("rows", "live"), [(300, 200), (2000, 500), (2000, 20_000)])
def test_the_critical_index_keeps_its_probability(limit: float, rows: int, live: int) -> None:
    """Draw both samples from shares whose true index is the limit, and compare the tail with the quantile."""
    generator = np.random.default_rng(11)
    bins, alpha, draws = 16, 0.01, 4000
    tilt = np.linspace(-1, 1, bins)
    equal = np.full(bins, 1 / bins)

    def shares(strength: float) -> np.ndarray:
        weights = np.exp(strength * tilt)
        return weights / weights.sum()

    def true_index(strength: float) -> float:
        other = shares(strength)
        return float(((other - equal) * np.log(other / equal)).sum())

    low, high = 0.0, 5.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if true_index(middle) < limit else (low, middle)
    references = generator.multinomial(rows, equal, draws)
    lives = generator.multinomial(live, shares(low), draws)
    above = 0
    for reference, counts in zip(references.tolist(), lives.tolist(), strict=True):
        column = MergedColumn("p", "m", "input", "x", 0, tuple(reference), tuple(counts), rows, live)
        above += measure_psi(reference, counts) > critical_psi(limit, column, alpha)
    # the approximation may be off by a factor, but not by the order of magnitude that would make alarms common
    assert above / draws < 3 * alpha


def _images(generator: np.random.Generator, rows: int) -> np.ndarray:
    """Return made-up pictures as of digits: 64 pixels from 0 to 1 in steps of 1/16, many of them always 0."""
    centre = np.linspace(-0.6, 0.9, 64)
    raw = centre + generator.normal(0, 0.5, (rows, 64)) + generator.normal(0, 0.2, (rows, 1))
    return np.round(np.clip(raw, 0, 1) * 16).astype(np.float32) / 16


def _reference(values: np.ndarray) -> TensorReference:
    def column(index: int) -> Numbers:
        ordered = np.sort(values[:, index]).astype(float)
        edges = tuple(np.unique(ordered[np.ceil(np.arange(1, 17) * len(ordered) / 16).astype(int) - 1]).tolist())
        return Numbers(index=index, minimum=ordered[0], edges=edges, counts=(0,) * len(edges))

    columns = tuple(column(index) for index in range(64))
    return TensorReference(name="image", datatype="FP32", width=64, columns=columns)


def _count(binning: Binning, values: np.ndarray) -> list[tuple[int, ...]]:
    counts, ends = binning.count(values).tolist(), np.cumsum(binning.sizes).tolist()
    return [tuple(counts[end - size : end]) for end, size in zip(ends, binning.sizes, strict=True)]


def test_requests_that_are_like_the_training_data_do_not_drift_and_inverted_or_dimmed_ones_do() -> None:
    generator = np.random.default_rng(5)
    train = _images(generator, 1300)
    binning = Binning(_reference(train))
    reference = _count(binning, train)

    def window(values: np.ndarray) -> DriftMeasures:
        columns = tuple(
            ColumnFacts(index=index, reference=expected, counts=counts)
            for index, (expected, counts) in enumerate(zip(reference, _count(binning, values), strict=True))
        )
        tensor = TensorFacts(side="input", name="image", columns=columns)
        node = NodeFacts(node="model", digest=DIGEST, reference_rows=1300, rows=len(values), tensors=(tensor,))
        return measure(MonitorFacts(predictor="main", nodes=(node,)))

    draw = partial(_images, generator)
    # 0.1 % of the windows at most may be wrong if the true index were at the limit; here it is 0
    assert [window(draw(300)).exceeded for _ in range(300)] == [0] * 300
    assert [window(train[generator.integers(0, 1300, 300)]).exceeded for _ in range(300)] == [0] * 300
    assert window(1 - draw(300)).exceeded > 10
    assert window(draw(300) * np.float32(0.5)).exceeded > 10


def test_drift_ends_even_if_the_limit_is_within_the_noise() -> None:
    # 64 columns of 300 rows have an index above 0.02 by chance, some of them far above
    generator = np.random.default_rng(9)
    policy = POLICY.model_copy(update={"max_psi": 0.02})
    reference = generator.multinomial(1300, np.full(16, 1 / 16), 64).tolist()
    seem = []
    for _ in range(50):
        counts = generator.multinomial(300, np.full(16, 1 / 16), 64).tolist()
        columns = tuple(
            MergedColumn("p", "m", "input", "x", index, tuple(expected), tuple(found), 1300, 300)
            for index, (expected, found) in enumerate(zip(reference, counts, strict=True))
        )
        measures = measure_drift(policy, MergedDrift(columns, 300, "models"), DriftMeasures(NOW, 1, 1))
        assert max(measure_psi(column.reference, column.counts) for column in columns) > 0.02
        assert measures.exceeded == 0
        seem.append(measures.above)
    assert seem.count(0) > 25
