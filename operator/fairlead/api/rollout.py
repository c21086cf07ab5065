"""How a changed ModelDeployment takes over from the one that serves: steps, what is measured, and what was decided."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fairlead.api.base import DNS_LABEL, LIST_MAP_BY_NAME, ApiModel, Rule, StatusModel

MAX_STEPS, MAX_VERDICTS, MAX_QUERIES = 16, 10, 8
PLACEHOLDERS = ("candidate", "stable", "deployment", "namespace")
"""What a query may name, as in $(candidate)."""
_MAX_SECONDS = 7 * 86400
Share = Annotated[float, Field(gt=0, lt=1)]
"""0 and 1 are excluded: no number of requests shows that none at all fails. They are excluded as such and not by a
least value, because the API server compares a whole number with the whole part of a limit."""
RolloutPhase = Literal["Scaling", "Measuring", "Promoting", "Promoted", "RolledBack"]


class RolloutStep(ApiModel):
    """A step of a rollout."""

    traffic: int = Field(ge=0, le=100)
    """The percentage of requests that the candidate answers."""
    seconds: int = Field(ge=0, le=_MAX_SECONDS)
    """How long the step lasts at least. It ends when the candidate has passed after that."""


def _remove_placeholders(text: str) -> str:
    for name in PLACEHOLDERS:
        text = text.replace(f"$({name})", "")
    return text


_WITHOUT_PLACEHOLDERS = "self.query" + "".join(f".replace('$({name})', '')" for name in PLACEHOLDERS)


class MetricQuery(ApiModel):
    """A PromQL query and what its value may be. The value is taken as it is: what it rests on is the query's matter."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.max) || has(self.min)",
            "expected max, min or both",
            lambda query: query.max is not None or query.min is not None,
        ),
        Rule(
            "!has(self.max) || !has(self.min) || double(self.min) <= double(self.max)",
            "min: expected at most max",
            lambda query: query.max is None or query.min is None or query.min <= query.max,
            field=".min",
        ),
        Rule(
            f"!{_WITHOUT_PLACEHOLDERS}.contains('$(')",
            f"query: expected no $(…) but {', '.join(f'$({name})' for name in PLACEHOLDERS)}",
            lambda query: "$(" not in _remove_placeholders(query.query),
            field=".query",
        ),
    )

    name: str = Field(max_length=32, pattern=DNS_LABEL)
    """What verdicts call it."""
    query: str = Field(min_length=1, max_length=2048)
    """The query, of one sample. $(candidate) and $(stable) stand for the names of the revisions' Deployments, with
    which their pods' names begin; $(deployment) and $(namespace) for those of the ModelDeployment."""
    max: float | None = None
    """The largest value that passes. Any if unset."""
    min: float | None = None
    """The smallest value that passes. Any if unset."""


class Analysis(ApiModel):
    """What the candidate has to show. Each limit but those of queries is judged with a confidence of 95 % (exact
    one-sided bounds)."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.maxErrorRate) || has(self.maxP99Seconds) || has(self.minAgreement)"
            " || (has(self.queries) && size(self.queries) > 0)",
            "analysis: expected maxErrorRate, maxP99Seconds, minAgreement or queries",
            lambda analysis: (
                bool(analysis.queries)
                or any(
                    limit is not None
                    for limit in (analysis.max_error_rate, analysis.max_p99_seconds, analysis.min_agreement)
                )
            ),
        ),
        Rule(
            "!has(self.minAgreement) || has(self.mirrorPercent)",
            "minAgreement: expected mirrorPercent, too, because only copied requests are compared",
            lambda analysis: analysis.min_agreement is None or analysis.mirror_percent is not None,
            field=".minAgreement",
        ),
    )

    interval_seconds: int = Field(ge=1, le=3600)
    """How often the candidate is judged."""
    min_requests: int = Field(ge=1, le=1_000_000_000)
    """The number of requests below which nothing is judged: the interval is inconclusive, and counting goes on."""
    failure_limit: int = Field(ge=0, le=100)
    """The number of failed verdicts that the rollout tolerates; one more, and it is rolled back."""
    max_error_rate: Share | None = None
    """The largest share of failed requests (5xx or no answer), such as 0.01. Not judged if unset."""
    max_p99_seconds: float | None = Field(None, gt=0, le=120)
    """The time within which 99 % of the requests must end, measured where they are forwarded. Not judged if unset."""
    min_agreement: Share | None = None
    """The least share of copied requests with the same answer as the stable revision's. Not judged if unset."""
    mirror_percent: int | None = Field(None, ge=1, le=100)
    """The percentage of the stable revision's requests of which the candidate gets a copy; its answers to them are
    only compared and measured. None are copied if unset."""
    queries: list[MetricQuery] = Field([], max_length=MAX_QUERIES, json_schema_extra=LIST_MAP_BY_NAME)
    """PromQL queries whose values the candidate has to keep, asked of the Prometheus of the operator's settings."""


class Rollout(ApiModel):
    """How a changed predictor takes over: as a candidate beside the stable revision, with a share that rises."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.steps.map(step, step.traffic).isSorted()",
            "steps: expected traffic that does not fall",
            lambda rollout: all(
                before.traffic <= after.traffic for before, after in zip(rollout.steps, rollout.steps[1:], strict=False)
            ),
            field=".steps",
        ),
        Rule(
            "has(self.analysis.mirrorPercent) || self.steps.all(step, step.traffic > 0)",
            "steps: expected traffic above 0, or analysis.mirrorPercent: a candidate without requests shows nothing",
            lambda rollout: (
                rollout.analysis.mirror_percent is not None or all(step.traffic > 0 for step in rollout.steps)
            ),
            field=".steps",
        ),
    )

    steps: list[RolloutStep] = Field(min_length=1, max_length=MAX_STEPS)
    """The steps, one after the other. After the last one the candidate becomes the stable revision."""
    analysis: Analysis
    """What the candidate has to show."""
    progress_deadline_seconds: int = Field(600, ge=1, le=_MAX_SECONDS)
    """How long the candidate's pods may take to become ready, and how long a step may wait for a passed verdict after
    its seconds; then the candidate is rolled back."""
    paused: bool = False
    """Stay at the current step. A failing candidate is rolled back nevertheless."""


class Verdict(StatusModel):
    """What an interval has shown."""

    at: datetime
    """When it was judged."""
    result: Literal["Passed", "Failed", "Inconclusive"]
    """Whether the candidate keeps to its limits, exceeds one, or has not had enough requests to tell."""
    step: int
    """The number of the step, from 1."""
    requests: int = 0
    """The requests that the candidate answered, copies included."""
    errors: int = 0
    """Those of them that failed."""
    p99_seconds: float | None = None
    """The time within which 99 % of them ended; at most 10 % too high. Absent if it is longer than measured times."""
    compared: int = 0
    """The copied requests whose answers were compared."""
    agreed: int = 0
    """Those of them with the same answer."""
    message: str = Field("", max_length=512)
    """The figures and the bounds in words."""


class RolloutStatus(StatusModel):
    """Where a rollout is. What servers do with their requests follows from it."""

    phase: RolloutPhase | None = None
    """Scaling (the candidate's pods start), Measuring, Promoting (it gets all its pods), Promoted or RolledBack."""
    step: int = 0
    """The index of the step, from 0."""
    weight: int = 0
    """The percentage of requests that the candidate answers."""
    mirror: int = 0
    """The percentage of the other requests of which it gets a copy."""
    address: str | None = Field(None, max_length=64)
    """The address of the candidate's Service, to which servers forward."""
    since: datetime | None = None
    """When the phase began."""
    elapsed_seconds: float = 0
    """How much of the phase counts: an interval at most for each verdict, whatever clocks say."""
    checked_at: datetime | None = None
    """When the candidate was last judged."""
    passed: bool = False
    """Whether the last conclusive verdict was passed; while a step is measured, only verdicts of that step count."""
    failures: int = 0
    """How many verdicts have failed."""
    verdicts: tuple[Verdict, ...] = Field((), max_length=MAX_VERDICTS)
    """The last verdicts, oldest first."""
    generation: int = 0
    """The generation of the servers' traffic document. It begins with the time in seconds."""
    window: int = 0
    """The window in which they count."""
    servers: int = 0
    """The number of ready servers of the stable revision."""
    confirmed: int = 0
    """How many of them have the traffic document of this status in force."""
    moved_at: datetime | None = None
    """When traffic was last taken away from a revision, which is deleted some seconds later."""
    paused: bool = False
    """Whether the command `pause` holds the rollout."""
    command: str | None = Field(None, max_length=64)
    """The token of the last command that was obeyed."""
    failed_revision: str | None = None
    """The revision that was rolled back. It is not tried again until the spec changes."""
    reason: str | None = Field(None, max_length=128)
    """Why the last rollout ended, as one CamelCase word."""
    message: str | None = Field(None, max_length=1024)
    """Why the last rollout ended, with its figures."""
