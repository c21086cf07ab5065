"""Drift: whether the requests of the last window are distributed as the training data.

Each column is judged by its population stability index (PSI) between the training data's n rows and the window's m.
Without any drift, PSI / (1/n + 1/m) is distributed as chi-square with as many degrees of freedom as there are bins but
one (B. Yurdakul and J. Naranjo, Journal of Risk Model Validation 14(4), 2020); if the true index is d, the noncentral
chi-square with noncentrality d / (1/n + 1/m) is, as for every divergence of this family (T. Read and N. Cressie,
Goodness-of-Fit Statistics, 1988). So a column exceeds maxPsi if its index is above the quantile for d = maxPsi. The
quantile is that of S. Abdel-Aty's approximation (Biometrika 41, 1954).

The confidence is 99.9 % over all columns of a judgement together (Bonferroni). For example, with 16 bins, 74 columns,
1,300 rows of training data and a window of 1,000 rows, the index must exceed 0.43 to show that 0.2 is exceeded; with
100,000 rows on both sides it is 0.22. Without any drift, the probability of an alarm is far below 0.1 %.

Drift ends when no column exceeds maxPsi even with a confidence of 50 %: between the two bounds, the last verdict stays,
so that it does not flap.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import NormalDist

from fairlead_contracts.psi import measure_psi

from fairlead.api.model_deployment import ModelDeploymentStatus
from fairlead.api.monitor import MAX_WORST, ColumnDrift, Drift, DriftStatus
from fairlead.core.conditions import DesiredCondition
from fairlead.core.model_deployment.drift_facts import MergedColumn, MergedDrift

DRIFTED = "Drifted"
_BEGIN, _END = 0.001, 0.5
"""The probability that some column of a judgement seems to exceed the limit, and does not: for drift to begin, and to
go on."""
_DIGITS = 4


@dataclass(frozen=True)
class DriftMeasures:
    """What a reading of the servers has shown."""

    read_at: datetime
    """When they were read. The status has this time, so that the same reading makes the same status."""
    servers: int = 0
    """How many were asked."""
    answered: int = 0
    """How many of them have answered."""
    problem: str = ""
    """Why a model, or a server, says nothing."""
    models: str = ""
    partial: bool = False
    """Whether no server has said anything about some model."""
    rows: int = 0
    columns: int = 0
    """Columns with enough rows to be judged."""
    exceeded: int = 0
    """Columns that certainly exceed maxPsi."""
    above: int = 0
    """Columns that exceed it with the confidence at which drift goes on."""
    worst: tuple[ColumnDrift, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What is said about drift."""

    status: DriftStatus
    condition: DesiredCondition


def measure_drift(policy: Drift, merged: MergedDrift, reading: DriftMeasures) -> DriftMeasures:
    """Return a reading with the figures of all servers that have answered."""
    columns = [column for column in merged.columns if column.rows >= policy.min_rows]
    begin, end = (alpha / max(1, len(columns)) for alpha in (_BEGIN, _END))
    judged = [(column, _round(measure_psi(column.reference, column.counts))) for column in columns]
    found = [(column, psi, _round(critical_psi(policy.max_psi, column, begin))) for column, psi in judged]
    ranked = sorted(found, key=lambda each: each[1] - each[2], reverse=True)
    return replace(
        reading,
        problem=reading.problem or merged.problem,
        models=merged.models,
        partial=merged.partial,
        rows=merged.rows,
        columns=len(columns),
        exceeded=sum(psi > critical for _, psi, critical in found),
        above=sum(psi > critical_psi(policy.max_psi, column, end) for column, psi in judged),
        worst=tuple(_describe(*each) for each in ranked[:MAX_WORST]),
    )


def critical_psi(limit: float, column: MergedColumn, alpha: float) -> float:
    """Return the index that a column whose true one is `limit` exceeds with a probability of `alpha`."""
    scale = _scale(column)
    degrees, noncentrality = _count_degrees(column), limit / scale
    mean = degrees + noncentrality
    variance = 2 * (degrees + 2 * noncentrality) / (9 * mean * mean)
    quantile = NormalDist().inv_cdf(1 - alpha)
    return mean * (1 - variance + quantile * math.sqrt(variance)) ** 3 * scale


def judge_drift(policy: Drift, measures: DriftMeasures | None, before: ModelDeploymentStatus, now: datetime) -> Verdict:
    """Return the verdict.

    Without enough rows, or if some models are missing, an earlier one about the same models stands for a window's
    length. What has begun before a longer gap still goes on, or ends, after it.
    """
    known, status = before.drift or DriftStatus(), _read_condition(before)
    if measures is None:
        # nobody was asked since the operator has started, or pods have changed
        return Verdict(known, status or DesiredCondition(DRIFTED, None, "Measuring", "The servers are being read."))
    same = known.models is None or measures.models in ("", known.models)
    reason = _find_obstacle(policy, measures)
    aged = known.checked_at is None or not 0 <= (now - known.checked_at).total_seconds() < policy.window_seconds
    stands = (same and reason is not None) or (measures.partial and not same)
    if stands and not aged and status is not None and status.status is not None:
        return Verdict(known, status)
    if reason is not None:
        if not (same or measures.partial):
            return Verdict(_record(measures, None, None), reason)
        record = _record(measures, known.since, known.checked_at)
        return Verdict(record.model_copy(update={"models": known.models or record.models}), reason)
    drifted = measures.exceeded > 0 or (known.since is not None and same and measures.above > 0)
    since = (known.since if same and known.since else measures.read_at) if drifted else None
    condition = DesiredCondition(
        DRIFTED, drifted, "DataDrifted" if drifted else "WithinLimit", _explain(policy, measures, drifted)
    )
    return Verdict(_record(measures, since, measures.read_at), condition)


def find_drift(status: ModelDeploymentStatus) -> DriftStatus | None:
    """Return since when requests have drifted, and the figures; None if they have not, or nobody knows."""
    drifted = any(each.type == DRIFTED and each.status == "True" for each in status.conditions)
    return status.drift if drifted and status.drift and status.drift.since else None


def poll_seconds(policy: Drift) -> float:
    """Return how often servers are read, each of which may change the status."""
    return min(300.0, max(5.0, policy.window_seconds / 8))


def describe_columns(columns: Iterable[ColumnDrift]) -> str:
    """Return columns with their figures, as words."""
    return "; ".join(
        f"{each.node} {each.side} {each.tensor}[{each.column}]: {each.psi:.3g} (certain above {each.critical_psi:.3g})"
        for each in columns
    )


def _find_obstacle(policy: Drift, measures: DriftMeasures) -> DesiredCondition | None:
    """Return why nothing can be judged."""
    if not measures.answered:
        return DesiredCondition(DRIFTED, None, "MonitorNotAnswering", measures.problem or "No server is ready.")
    if not measures.models:
        return DesiredCondition(DRIFTED, None, "NoReference", measures.problem or "No model is monitored.")
    if not measures.columns:
        figures = f"{measures.rows} rows in {policy.window_seconds} s, expected at least {policy.min_rows}"
        return DesiredCondition(DRIFTED, None, "TooFewRows", f"{figures}.")
    return None


def _explain(policy: Drift, measures: DriftMeasures, drifted: bool) -> str:
    window = f"{measures.rows} rows in {policy.window_seconds} s"
    if measures.exceeded:
        share = f"{measures.exceeded} of {measures.columns} columns exceed a PSI of {policy.max_psi:g} in {window}"
        shown = [each for each in measures.worst if each.psi > each.critical_psi]
        text = f"{share}: {describe_columns(shown)}."
    elif drifted:
        share = f"{measures.above} of {measures.columns} columns"
        text = f"{share} still seem to exceed a PSI of {policy.max_psi:g} in {window}."
    else:
        text = f"None of {measures.columns} columns is certain to exceed a PSI of {policy.max_psi:g} in {window}."
    return f"{text} {measures.problem}".strip()


def _record(measures: DriftMeasures, since: datetime | None, checked_at: datetime | None) -> DriftStatus:
    return DriftStatus(
        since=since,
        checked_at=checked_at,
        models=measures.models or None,
        rows=measures.rows,
        columns=measures.columns,
        exceeded=measures.exceeded,
        worst=measures.worst,
    )


def _read_condition(status: ModelDeploymentStatus) -> DesiredCondition | None:
    for each in status.conditions:
        if each.type == DRIFTED:
            value = {"True": True, "False": False}.get(each.status)
            return DesiredCondition(DRIFTED, value, each.reason, each.message)
    return None


def _describe(column: MergedColumn, psi: float, critical: float) -> ColumnDrift:
    return ColumnDrift(
        predictor=column.predictor,
        node=column.node,
        side=column.side,
        tensor=column.tensor,
        column=column.index,
        psi=psi,
        critical_psi=critical,
    )


def _scale(column: MergedColumn) -> float:
    return 1 / column.reference_rows + 1 / column.rows


def _count_degrees(column: MergedColumn) -> int:
    return max(1, sum(count > 0 for count in column.reference) - 1)


def _round(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
