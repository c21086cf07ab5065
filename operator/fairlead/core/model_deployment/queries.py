"""The queries of a rollout's analysis: what is asked of Prometheus, and what its answers show."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.rollout import MetricQuery
from fairlead.core import names


@dataclass(frozen=True)
class QueryAnswer:
    """What a query has returned."""

    name: str
    value: float | None = None
    """None if there is none."""
    problem: str = ""
    """Why there is none."""


@dataclass(frozen=True)
class BuiltQueries:
    """What is asked for a candidate now. Answers to other questions, such as of an earlier step, do not count."""

    texts: tuple[tuple[str, str], ...] = ()
    """The name and the PromQL of each query."""
    window: int = 0
    """The window of counts in which they are asked."""


def build_queries(deployment: ModelDeployment) -> BuiltQueries:
    """Return what is asked while a candidate has requests; nothing otherwise."""
    policy, status = deployment.spec.rollout, deployment.status
    rollout = status.rollout
    if not policy or not rollout or not status.candidate_revision or not (rollout.weight or rollout.mirror):
        return BuiltQueries()
    known = {
        "candidate": names.revision_name(deployment, status.candidate_revision),
        "stable": names.revision_name(deployment, status.stable_revision or ""),
        "deployment": deployment.metadata.name,
        "namespace": deployment.metadata.namespace,
    }
    texts = tuple((query.name, _fill(query.query, known)) for query in policy.analysis.queries)
    return BuiltQueries(texts, rollout.window)


def describe_answer(query: MetricQuery, answer: QueryAnswer | None) -> tuple[bool | None, str]:
    """Return whether a query's value is within its limits, and both in words; None without a value."""
    if answer is None or answer.value is None:
        return None, f"{query.name} has no value: {answer.problem if answer else 'it has not been asked yet'}"
    if math.isnan(answer.value):
        return None, f"{query.name} has no value: it is not a number"
    limits = [
        f"{words} {limit:g}" for words, limit in (("at least", query.min), ("at most", query.max)) if limit is not None
    ]
    kept = (query.min is None or answer.value >= query.min) and (query.max is None or answer.value <= query.max)
    return kept, f"{query.name} is {answer.value:.4g} ({' and '.join(limits)} allowed)"


def _fill(query: str, known: Mapping[str, str]) -> str:
    # names are DNS labels, so that they end no string of PromQL
    for name, value in known.items():
        query = query.replace(f"$({name})", value)
    return query
