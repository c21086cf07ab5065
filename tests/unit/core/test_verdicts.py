"""Verdicts: a limit is exceeded, kept, or neither is shown."""

import itertools
import math
import random
from typing import Any

import pytest
from fairlead.api.rollout import Analysis
from fairlead.core.model_deployment.observed import ServerReading
from fairlead.core.model_deployment.queries import QueryAnswer
from fairlead.core.model_deployment.traffic import read_evidence
from fairlead.core.model_deployment.verdicts import Evidence, judge
from fairlead_contracts.traffic import BOUNDS, Agreement, Counts, RouteFacts, TrafficFacts

from tests.support.resources import make_deployment


def analysis(**limits: Any) -> Analysis:
    return Analysis(interval_seconds=10, min_requests=100, failure_limit=0, mirror_percent=10, **limits)


@pytest.mark.parametrize(
    ("errors", "requests", "result", "reason"),
    [
        (0, 99, "Inconclusive", "fewer than minRequests"),
        (99, 99, "Inconclusive", "fewer than minRequests, however bad"),
        (0, 100, "Inconclusive", "3.0 % could fail"),
        (0, 298, "Inconclusive", "a little more than 1 % could fail"),
        (0, 299, "Passed", "at most 1 % fail"),
        (5, 100, "Failed", "at least 2.0 % fail"),
        (2, 100, "Inconclusive", "noise"),
        (20, 1_000, "Failed", "at least 1.4 % fail"),
        (50, 10_000, "Passed", "at most 0.6 % fail"),
        (90_000, 10_000_000, "Passed", "0.9 %, which so many show"),
        (1, 2**53 - 1, "Passed", "a count that only a liar has"),
        (2**53 - 1, 2**53 - 1, "Failed", "a count that only a liar has"),
    ],
)
def test_errors_are_judged_by_their_bounds(errors: int, requests: int, result: str, reason: str) -> None:
    found = judge(analysis(max_error_rate=0.01), Evidence(requests=requests, errors=errors))
    assert found.result == result, reason
    assert f"{errors} of {requests} failed" in found.message


@pytest.mark.parametrize(
    ("errors", "requests", "limit", "result"),
    [
        (0, 10**9, 1e-5, "Passed"),
        (50, 10**6, 1e-4, "Passed"),
        (150, 10**6, 1e-4, "Failed"),
        (0, 10**5, 1e-5, "Inconclusive"),
    ],
)
def test_many_requests_decide_about_small_limits(errors: int, requests: int, limit: float, result: str) -> None:
    assert judge(analysis(max_error_rate=limit), Evidence(requests=requests, errors=errors)).result == result


def test_one_exceeded_limit_fails_and_all_must_be_kept_to_pass() -> None:
    limits = analysis(max_error_rate=0.01, max_p99_seconds=0.5, min_agreement=0.95)
    good = Evidence(requests=1000, compared=1000, agreed=1000)
    assert judge(limits, good).result == "Passed"
    assert judge(limits, Evidence(requests=1000, compared=50, agreed=50)).result == "Inconclusive"
    assert judge(limits, Evidence(requests=1000, slow=100, compared=50, agreed=50)).result == "Failed"
    assert judge(limits, Evidence(requests=1000, compared=1000, agreed=800)).result == "Failed"


def test_a_share_at_the_limit_is_rarely_judged_wrong() -> None:
    chance, limits = random.Random(1), analysis(max_error_rate=0.05)
    counted = {"Passed": 0, "Failed": 0, "Inconclusive": 0}
    for _ in range(2000):
        errors = sum(chance.random() < 0.05 for _ in range(300))
        counted[judge(limits, Evidence(requests=300, errors=errors)).result] += 1
    # each side errs with 5 %
    assert counted["Passed"] < 140
    assert counted["Failed"] < 140


STABLE = {"stableRevision": "aaaaaaaa", "candidateRevision": "bbbbbbbb", "rollout": {"generation": 3, "window": 2}}


def reading(counts: Counts, agreement: Agreement | None = None, **changes: Any) -> ServerReading:
    route = RouteFacts(name="bbbbbbbb", counts=counts, agreement=agreement or Agreement())
    facts: dict[str, Any] = {"server": "s", "revision": "aaaaaaaa", "generation": 3, "window": 2, "routes": (route,)}
    return ServerReading("uid", TrafficFacts(**facts | changes))


def latency(bucket: int, count: int) -> tuple[int, ...]:
    return tuple(count if index == bucket else 0 for index in range(len(BOUNDS) + 1))


def test_the_counts_of_servers_in_the_current_window_are_added() -> None:
    status = make_deployment(STABLE).status
    counts = Counts(requests=10, errors=1, latency=latency(40, 10))
    slow = Counts(requests=10, errors=0, latency=latency(120, 10))
    others = [reading(counts, **{name: 9}) for name in ("generation", "window")]
    others += [reading(counts, revision="cccccccc"), ServerReading("uid", error="silent")]
    found = read_evidence(status, [reading(counts), reading(slow, Agreement(compared=5, agreed=4)), *others], 1.0)
    assert (found.requests, found.errors, found.slow, found.compared, found.agreed) == (20, 1, 10, 5, 4)
    assert found.p99_seconds == BOUNDS[120]


def test_a_request_counts_as_slow_only_if_it_surely_was() -> None:
    status = make_deployment(STABLE).status
    bucket = next(index for index, bound in enumerate(BOUNDS) if bound > 1.0)
    for offset, slow in ((-1, 0), (0, 0), (1, 7)):
        counts = Counts(requests=7, latency=latency(bucket + offset, 7))
        assert read_evidence(status, [reading(counts)], 1.0).slow == slow


def test_counts_that_lie_have_no_effect_beyond_their_own_deployment() -> None:
    status = make_deployment(STABLE).status
    most = (1 << 53) - 1
    lie = Counts(requests=1, errors=most, latency=(most,) * (len(BOUNDS) + 1))
    found = read_evidence(status, [reading(lie, Agreement(compared=1, agreed=most)), reading(lie)], 1.0)
    assert (found.requests, found.errors, found.slow, found.compared, found.agreed) == (2, 2, 2, 1, 1)
    for limits in itertools.chain([analysis(max_error_rate=0.5)], [analysis(min_agreement=0.5)]):
        assert judge(limits, found).result == "Inconclusive"


def test_sums_of_counts_that_lie_fit_into_a_status() -> None:
    most = (1 << 53) - 1
    lie = Counts(requests=most, errors=most, latency=(0,) * (len(BOUNDS) + 1))
    readings = [reading(lie, Agreement(compared=most, agreed=most))] * 2000
    found = read_evidence(make_deployment(STABLE).status, readings, 1.0)
    assert max(found.requests, found.errors, found.compared, found.agreed) < 1 << 63


@pytest.mark.parametrize(
    ("answer", "requests", "result", "words"),
    [
        (QueryAnswer("cost", 0.5), 100, "Passed", "cost is 0.5 (at least 0 and at most 1 allowed)"),
        (QueryAnswer("cost", 1.0), 100, "Passed", "cost is 1"),
        (QueryAnswer("cost", 1.1), 100, "Failed", "cost is 1.1"),
        (QueryAnswer("cost", -0.1), 100, "Failed", "cost is -0.1"),
        (QueryAnswer("cost", math.inf), 100, "Failed", "cost is inf"),
        (QueryAnswer("cost", 1.1), 99, "Inconclusive", "99 requests, expected at least 100"),
        (QueryAnswer("cost", math.nan), 100, "Inconclusive", "it is not a number"),
        (QueryAnswer("cost", problem="it returned 0 samples"), 100, "Inconclusive", "it returned 0 samples"),
        (None, 100, "Inconclusive", "it has not been asked yet"),
        (QueryAnswer("other", 0.5), 100, "Inconclusive", "it has not been asked yet"),
    ],
)
def test_a_query_is_judged_by_its_value(answer: QueryAnswer | None, requests: int, result: str, words: str) -> None:
    limits = analysis(queries=[{"name": "cost", "query": "1", "min": 0, "max": 1}])
    found = judge(limits, Evidence(requests, answers=(answer,) if answer else ()))
    assert (found.result, words in found.message) == (result, True), found.message


def test_a_query_passes_nothing_by_itself() -> None:
    limits = analysis(max_error_rate=0.01, queries=[{"name": "cost", "query": "1", "max": 1}])
    answers = (QueryAnswer("cost", 0.5),)
    assert judge(limits, Evidence(100, 99, answers=answers)).result == "Failed"
    assert judge(limits, Evidence(100, 0, answers=answers)).result == "Inconclusive"
    assert judge(limits, Evidence(1_000, 0, answers=answers)).result == "Passed"
