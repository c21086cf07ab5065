"""Verdicts: what a candidate's requests show, with bounds that do not take noise for evidence.

Each limit is one on the share of bad requests: failed ones (maxErrorRate), ones that took longer than maxP99Seconds (at
most 1 %), copies with another answer (1 - minAgreement). Such a share is judged by its exact one-sided bounds with 95 %
confidence (Clopper and Pearson; fairlead_contracts.binomial):

    passed         the upper bound is at most the limit
    failed         the lower bound is above the limit
    inconclusive   else, and with fewer than minRequests requests

For example, none of 100 failed: the upper bound is 3.0 %, so a limit of 1 % is not shown yet; with 299 it is. 5 of 100
failed: the lower bound is 2.0 %, which exceeds 1 %. Inconclusive requests are kept, so that evidence adds up.

The value of a query is taken as it is: within its limits passes, outside of them fails, none at all is inconclusive.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from fairlead_contracts.binomial import MAX_TRIALS, bound_above, bound_below

from fairlead.api.rollout import Analysis, MetricQuery
from fairlead.core.model_deployment.queries import QueryAnswer, describe_answer

Result = Literal["Passed", "Failed", "Inconclusive"]
_CONFIDENCE = 0.95
_SLOW_SHARE = 0.01


@dataclass(frozen=True)
class Evidence:
    """What was counted in a window, over all servers."""

    requests: int = 0
    errors: int = 0
    slow: int = 0
    """Requests that took longer than maxP99Seconds."""
    p99_seconds: float | None = None
    compared: int = 0
    agreed: int = 0
    dropped: int = 0
    """Copies that were not sent, or not compared."""
    max_distance: float = 0.0
    """The largest difference between two numbers of two answers."""
    answers: tuple[QueryAnswer, ...] = ()
    """What the queries have returned."""


@dataclass(frozen=True)
class Judgement:
    """A result, and the figures it rests on."""

    result: Result
    message: str


def judge(analysis: Analysis, evidence: Evidence) -> Judgement:
    """Judge the evidence of a window by all limits: one failure fails it, and all must be shown to pass it."""
    parts = list(_judge_all(analysis, evidence))
    results = {part.result for part in parts}
    result: Result = "Failed" if "Failed" in results else "Passed" if results == {"Passed"} else "Inconclusive"
    return Judgement(result, "; ".join(part.message for part in parts))


def _judge_all(analysis: Analysis, evidence: Evidence) -> Iterator[Judgement]:
    least, total = analysis.min_requests, evidence.requests
    if analysis.max_error_rate is not None:
        yield _judge_share("failed", evidence.errors, total, analysis.max_error_rate, least)
    if analysis.max_p99_seconds is not None:
        words = f"took longer than {analysis.max_p99_seconds:g} s"
        yield _judge_share(words, evidence.slow, total, _SLOW_SHARE, least)
    if analysis.min_agreement is not None:
        different, limit = evidence.compared - evidence.agreed, 1 - analysis.min_agreement
        yield _judge_share("compared differ", different, evidence.compared, limit, least)
    answers = {answer.name: answer for answer in evidence.answers}
    for query in analysis.queries:
        yield _judge_query(query, answers.get(query.name), total, least)


def _judge_share(what: str, bad: int, total: int, limit: float, least: int) -> Judgement:
    figures = f"{bad} of {total} {what}"
    if total < least:
        return Judgement("Inconclusive", f"{figures}, expected at least {least} requests")
    lower, upper = _bound_share(bad, total)
    bounds = f"{figures} ({100 * lower:.3g} to {100 * upper:.3g} %, at most {100 * limit:.4g} % allowed)"
    if lower > limit:
        return Judgement("Failed", bounds)
    return Judgement("Passed" if upper <= limit else "Inconclusive", bounds)


def _bound_share(bad: int, total: int) -> tuple[float, float]:
    """Return what a share is at least and at most; of more trials than are calculated, the same share of fewer."""
    trials = min(total, MAX_TRIALS)
    least, most = bad * trials // total, -(-bad * trials // total)
    return bound_below(least, trials, _CONFIDENCE), bound_above(most, trials, _CONFIDENCE)


def _judge_query(query: MetricQuery, answer: QueryAnswer | None, total: int, least: int) -> Judgement:
    kept, words = describe_answer(query, answer)
    if total < least:
        return Judgement("Inconclusive", f"{words}; {total} requests, expected at least {least}")
    return Judgement("Inconclusive" if kept is None else "Passed" if kept else "Failed", words)
