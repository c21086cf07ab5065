"""Sweep: a search for the parameters of a training, whose trials are TrainingJobs."""

from typing import ClassVar, Literal

from fairlead_contracts.base import PRINTABLE
from fairlead_contracts.progress import MAX_METRIC_NAME
from pydantic import Field

from fairlead.api.base import LIST_MAP_BY_NAME, ApiModel, Resource, Rule
from fairlead.api.group import API_VERSION
from fairlead.api.pod_template import PodMeta
from fairlead.api.run_policy import MAX_SECONDS
from fairlead.api.sweep_parameters import MAX_PARAMETERS, Parameter
from fairlead.api.sweep_status import MAX_TRIALS, SweepStatus
from fairlead.api.training_job import MAX_NAME, TrainingJobSpec

MAX_VALUES_IN_STATUS = 4000
"""Parameters times trials: what the status holds, whose object may have 1.5 MB."""
_LARGEST = 2**31 - 1


class Objective(ApiModel):
    """What the trials are compared by."""

    metric: str = Field(min_length=1, max_length=MAX_METRIC_NAME, pattern=PRINTABLE)
    """The name of a metric that the training script reports with its progress."""
    goal: Literal["Minimize", "Maximize"]
    """Whether a small or a large value is good."""
    target: float | None = None
    """The value at which the sweep ends early, once a trial has succeeded with it or a better one."""

    def improves(self, value: float, other: float) -> bool:
        """Return whether a value is better than another one."""
        return value > other if self.goal == "Maximize" else value < other


class Algorithm(ApiModel):
    """How the parameters of the next trial are chosen."""

    name: Literal["Grid", "Random", "TPE"] = "Random"
    """Grid: every combination, in order. Random: independent of other trials. TPE: Optuna's tree-structured Parzen
    estimator, which learns from the trials that have ended."""
    seed: int = Field(0, ge=0, le=_LARGEST)
    """Decides the random choices: the same seed chooses the same parameters, with TPE after the same trials."""
    startup_trials: int = Field(10, ge=1, le=MAX_TRIALS)
    """How many of TPE's first trials are random."""


class Pruning(ApiModel):
    """Which trials are stopped before their end, by their objective at certain steps, the rungs."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.algorithm != 'Hyperband' || has(self.maxSteps)",
            "maxSteps: got none, expected one with Hyperband",
            lambda pruning: pruning.algorithm != "Hyperband" or pruning.max_steps is not None,
            field=".maxSteps",
        ),
        Rule(
            "!has(self.maxSteps) || self.minSteps < self.maxSteps",
            "maxSteps: expected more than minSteps",
            lambda pruning: pruning.max_steps is None or pruning.min_steps < pruning.max_steps,
            field=".maxSteps",
        ),
    )

    algorithm: Literal["ASHA", "Hyperband"] = "ASHA"
    """ASHA: asynchronous successive halving. Hyperband: several of it beside each other, whose first rungs differ."""
    min_steps: int = Field(ge=1, le=_LARGEST)
    """The training step of the first rung; each further one is `reductionFactor` times as far."""
    max_steps: int | None = Field(None, ge=2, le=_LARGEST)
    """The training steps of a whole trial: no rung is at or after it."""
    reduction_factor: int = Field(3, ge=2, le=16)
    """At each rung, the best one of so many trials goes on."""


class TrialTemplate(ApiModel):
    """The TrainingJob of each trial. In all its texts, `${trialParameters.NAME}` is replaced by a parameter's value and
    `${trialName}` by the job's name."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!self.spec.runPolicy.suspend",
            "spec.runPolicy.suspend: expected false; suspend the sweep",
            lambda template: not template.spec.run_policy.suspend,
            field=".spec.runPolicy.suspend",
        ),
        Rule(
            "!has(self.spec.runPolicy.ttlSecondsAfterFinished)",
            "spec.runPolicy.ttlSecondsAfterFinished: expected none; set that of the sweep",
            lambda template: template.spec.run_policy.ttl_seconds_after_finished is None,
            field=".spec.runPolicy.ttlSecondsAfterFinished",
        ),
        Rule(
            "!has(self.spec.runPolicy.managedBy)",
            "spec.runPolicy.managedBy: expected none",
            lambda template: template.spec.run_policy.managed_by is None,
            field=".spec.runPolicy.managedBy",
        ),
    )

    metadata: PodMeta | None = None
    """Labels and annotations to add to the jobs, such as Kueue's queue."""
    spec: TrainingJobSpec
    """The specification of the jobs."""


def _immutable(path: str, *, optional: bool = False) -> Rule:
    same = f"self.{path} == oldSelf.{path}"
    if optional:
        same = f"has(self.{path}) == has(oldSelf.{path}) && (!has(self.{path}) || {same})"
    return Rule(same, f"{path}: field is immutable; create a new sweep", field=f".{path}")


class SweepSpec(ApiModel):
    """The desired state of the sweep."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"size(self.parameters) * self.maxTrials <= {MAX_VALUES_IN_STATUS}",
            f"maxTrials: expected at most {MAX_VALUES_IN_STATUS} divided by the number of parameters",
            lambda spec: len(spec.parameters) * spec.max_trials <= MAX_VALUES_IN_STATUS,
            field=".maxTrials",
        ),
        Rule(
            "self.algorithm.name != 'Grid' || self.parameters.all(p, !has(p.double) || has(p.double.step))",
            "parameters: expected a step in every double, because a grid has a finite number of values",
            lambda spec: (
                spec.algorithm.name != "Grid"
                or all(each.double is None or each.double.step is not None for each in spec.parameters)
            ),
            field=".parameters",
        ),
        Rule(
            "self.parameters.all(p, self.parameters.exists_one(q, q.name == p.name))",
            "parameters: expected no two of the same name",
            lambda spec: len({each.name for each in spec.parameters}) == len(spec.parameters),
            field=".parameters",
        ),
        _immutable("objective.metric"),
        _immutable("objective.goal"),
        _immutable("parameters"),
        _immutable("algorithm"),
        _immutable("pruning", optional=True),
        _immutable("template"),
    )

    objective: Objective
    """What the trials are compared by."""
    parameters: list[Parameter] = Field(min_length=1, max_length=MAX_PARAMETERS, json_schema_extra=LIST_MAP_BY_NAME)
    """What differs between the trials."""
    algorithm: Algorithm = Algorithm()
    """How the parameters of the next trial are chosen."""
    pruning: Pruning | None = None
    """Which trials are stopped before their end; none if unset."""
    parallelism: int = Field(1, ge=1, le=MAX_TRIALS)
    """How many trials run at a time."""
    max_trials: int = Field(ge=1, le=MAX_TRIALS)
    """How many trials there are, however they end; fewer if a grid has fewer combinations."""
    max_failed_trials: int = Field(3, ge=0, le=MAX_TRIALS)
    """How many trials may fail; with one more the sweep fails, and the others are stopped."""
    active_deadline_seconds: int | None = Field(None, ge=1, le=MAX_SECONDS)
    """The number of seconds after which the sweep ends with what it has found. No limit if unset."""
    suspend: bool = False
    """Suspend the sweep: its running jobs are suspended, and no new ones are created."""
    ttl_seconds_after_finished: int | None = Field(None, ge=0, le=MAX_SECONDS)
    """How many seconds after it has finished the sweep is deleted, with its jobs. It is kept if unset. The only field
    of the spec that can be changed after the finish."""
    template: TrialTemplate
    """The TrainingJob of each trial."""


def _finished() -> Rule:
    """Return the rule for a sweep that has finished: the fields that may change while it runs are fixed then."""
    plain = ("objective", "parallelism", "maxTrials", "maxFailedTrials", "suspend")
    same = [f"self.spec.{field} == oldSelf.spec.{field}" for field in plain]
    limit = "spec.activeDeadlineSeconds"
    same.append(f"has(self.{limit}) == has(oldSelf.{limit}) && (!has(self.{limit}) || self.{limit} == oldSelf.{limit})")
    return Rule(
        f"!has(oldSelf.status) || !has(oldSelf.status.completionTime) || ({' && '.join(same)})",
        "spec: a finished sweep cannot be changed, except spec.ttlSecondsAfterFinished; create a new sweep",
        field=".spec",
    )


class Sweep(Resource):
    """A search for the parameters of a training, whose trials are TrainingJobs."""

    max_name: ClassVar[int] = MAX_NAME - 5
    cel: ClassVar[tuple[Rule, ...]] = (_finished(),)

    api_version: Literal["fairlead.dev/v1alpha1"] = API_VERSION  # type: ignore[assignment]
    kind: Literal["Sweep"] = "Sweep"
    spec: SweepSpec
    """The desired state of the sweep."""
    status: SweepStatus = SweepStatus()
    """The most recently observed state of the sweep."""
