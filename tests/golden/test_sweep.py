"""The planner of Sweeps: a case for each decision, compared with a golden file."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fairlead.api.base import ArtifactRef
from fairlead.api.sweep import Sweep
from fairlead.core.conditions import Finding, Rejection, merge_conditions
from fairlead.core.sweep import phases
from fairlead.core.sweep.observed import ObservedSweep, Suggestions
from fairlead.core.sweep.plan import plan_sweep
from fairlead.core.views import TrialView

from tests.support.golden import check_golden
from tests.support.resources import DIGEST, make_sweep
from tests.support.returns import recorded_lines, return_lines

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
START = "2026-03-01T11:00:00Z"
VALUES = {"lr": "0.01", "width": "16", "optimizer": "adam"}
MODEL = ArtifactRef(name="model", uri="s3://models/digits/v1", digest=DIGEST)
ASHA = {"minSteps": 10, "reductionFactor": 2}
TPE = {"name": "TPE"}
ONE = {"spec__maxTrials": 1}


NOTHING = ObservedSweep()


@dataclass(frozen=True)
class Case:
    """One decision: its reason and the observed state."""

    reason: str
    sweep: Sweep
    observed: ObservedSweep = NOTHING


def job(number: int, **fields: Any) -> TrialView:
    accuracy = fields.pop("accuracy", None)
    metrics = () if accuracy is None else (("accuracy", accuracy),)
    return TrialView(f"digits-{number:04}", f"uid-{number}", number, tuple(VALUES.items()), metrics=metrics, **fields)


def running(number: int, step: int = 5, accuracy: float = 0.5, **fields: Any) -> TrialView:
    return job(number, phase="Running", started=True, step=step, accuracy=accuracy, **fields)


def ended(number: int, accuracy: float, **fields: Any) -> TrialView:
    return job(number, phase="Succeeded", started=True, step=100, accuracy=accuracy, **fields)


def record(number: int, state: str = "Running", **fields: Any) -> dict[str, Any]:
    return {"number": number, "state": state, "parameters": VALUES} | fields


def status(*trials: dict[str, Any], phase: phases.Phase = phases.RUNNING, **fields: Any) -> dict[str, Any]:
    desired = phases.build_conditions(phase, Finding("TrialsRunning", "Earlier."))
    conditions = [each.model_dump(by_alias=True) for each in merge_conditions((), desired, 1, NOW)]
    return {"conditions": conditions, "phase": phase.name, "startTime": START, "trials": list(trials)} | fields


def jobs(*views: TrialView, **fields: Any) -> ObservedSweep:
    return ObservedSweep(views, **fields)


REJECTED = Rejection("Rejected", 'trainingjobs "digits-0002" is forbidden: exceeded quota', "TrainingJob")
INVALID = Rejection("Rejected", 'TrainingJob "digits-0002" is invalid: metadata.labels: "-0.5"', "TrainingJob", True)
BLOCKED = status(record(1), record(2, "Pending"), phase=phases.BLOCKED)
BLOCKED["conditions"][4] |= {"reason": "Rejected", "message": "exceeded quota"}
CASES = {
    "new": Case("The first trials are recorded, then created.", make_sweep(spec__parallelism=2)),
    "record-without-job": Case(
        "The operator was killed before it created a job: it creates the one that is recorded.",
        make_sweep(status(record(1), record(2, "Pending")), spec__maxTrials=2), jobs(running(1)),
    ),
    "job-without-record": Case(
        "The status was lost: the record is made again from the jobs.",
        make_sweep(spec__maxTrials=2), jobs(running(1), ended(2, 0.9)),
    ),
    "place-for-the-next": Case(
        "A trial has ended, and the next one begins; the best has its model.",
        make_sweep(status(record(1), record(2)), spec__parallelism=2, spec__maxTrials=3),
        jobs(ended(1, 0.8, model=MODEL), running(2)),
    ),
    "rung-reached": Case(
        "A trial has reached its first rung, as the first one.",
        make_sweep(status(record(1)), spec__pruning=ASHA, **ONE), jobs(running(1, step=12)),
    ),
    "pruned": Case(
        "Another one is better at the rung: its job is suspended, and keeps its record.",
        make_sweep(status(record(1, rungs=[0.8]), record(2)), spec__pruning=ASHA, spec__maxTrials=2),
        jobs(running(1, step=12), running(2, step=10, accuracy=0.3)),
    ),
    "pruned-job-resumed-by-hand": Case(
        "A user has resumed the job of a trial that was pruned.",
        make_sweep(status(record(1), record(2, "Pruned")), spec__maxTrials=2), jobs(running(1), running(2)),
    ),
    "sampler-asked": Case("No values for the next trial yet.", make_sweep(spec__algorithm=TPE)),
    "sampler-answered": Case(
        "The sampler has chosen the values.",
        make_sweep(spec__algorithm=TPE, spec__parallelism=1),
        ObservedSweep(suggestions=Suggestions({1: VALUES})),
    ),
    "sampler-failed": Case(
        "The sampler has failed; the trial that runs goes on.",
        make_sweep(status(record(1)), spec__algorithm=TPE, spec__maxTrials=2),
        jobs(running(1), suggestions=Suggestions(problem="Optuna is not installed")),
    ),
    "job-rejected": Case(
        "The API server has rejected a job.",
        make_sweep(status(record(1), record(2, "Pending")), spec__maxTrials=2), jobs(running(1), rejection=REJECTED),
    ),
    "job-invalid": Case(
        "The values of a trial make no valid job: this trial has failed, and others go on.",
        make_sweep(status(record(1), record(2, "Pending")), spec__maxTrials=3), jobs(running(1), rejection=INVALID),
    ),
    "jobs-blocked": Case(
        "No job of a trial can run, and why is said.",
        make_sweep(status(record(1, "Pending")), **ONE),
        jobs(job(1, phase="Blocked", message="There is no dataset.")),
    ),
    "job-succeeded-and-deleted": Case(
        "What a job has reached counts, although it is being deleted.",
        make_sweep(status(record(1)), **ONE), jobs(ended(1, 0.9, deleting=True)),
    ),
    "job-tried-again": Case(
        "It is tried again, and stays Blocked until that has succeeded.", make_sweep(BLOCKED, spec__maxTrials=2),
        jobs(running(1)),
    ),
    "suspended": Case(
        "The sweep was suspended: so are its jobs.",
        make_sweep(status(record(1), record(2, "Pending")), spec__suspend=True), jobs(running(1)),
    ),
    "resumed": Case(
        "The sweep was resumed: so are its jobs.",
        make_sweep(status(record(1), phase=phases.SUSPENDED, startTime=None), **ONE),
        jobs(job(1, phase="Suspended", suspended=True)),
    ),
    "target-reached": Case(
        "A trial has the target: the others are stopped.",
        make_sweep(status(record(1), record(2)), spec__objective__target=0.9), jobs(ended(1, 0.9), running(2)),
    ),
    "deadline-reached": Case(
        "The time is over, and something was found.",
        make_sweep(status(record(1, "Succeeded", value=0.7, step=100), record(2)), spec__activeDeadlineSeconds=3600),
        jobs(ended(1, 0.7), running(2)),
    ),
    "deadline-ahead": Case(
        "The deadline is a minute away.",
        make_sweep(status(record(1)), spec__activeDeadlineSeconds=3660, **ONE), jobs(running(1)),
    ),
    "nothing-found": Case(
        "Every trial has ended, and none has succeeded.",
        make_sweep(status(record(1)), **ONE),
        jobs(job(1, phase="Failed", started=True, message="Worker 1 exited with code 3.\nlog")),
    ),
    "too-many-failures": Case(
        "More trials have failed than may.",
        make_sweep(status(record(1, "Failed", message="Worker 0 exited."), record(2), record(3)),
                   spec__maxFailedTrials=1),
        jobs(job(2, phase="Failed", message="Worker 1 exited with code 3."), running(3)),
    ),
    "all-ended": Case(
        "Every trial has ended.", make_sweep(status(record(1, "Pruned"), record(2)), spec__maxTrials=2),
        jobs(running(1, suspended=True), ended(2, 0.6)),
    ),
    "grid-exhausted": Case(
        "A grid has fewer points than the sweep may have trials.",
        make_sweep(status(record(1, "Succeeded", value=0.7)), spec__algorithm={"name": "Grid"},
                   spec__parameters=[{"name": "optimizer", "categorical": {"values": ["adam"]}}]),
    ),
    "invalid-template": Case(
        "The template names a parameter that does not exist.",
        make_sweep(spec__template__spec__workers__template__spec__containers__0__args=["${trialParameters.x}"]),
    ),
    "finished-and-kept": Case(
        "A finished sweep does not change.",
        make_sweep(status(record(1, "Stopped"), phase=phases.SUCCEEDED, completionTime=START)),
        jobs(running(1, suspended=True)),
    ),
    "finished-with-a-job-that-trains": Case(
        "The operator was killed between the verdict and the suspension of what it stopped.",
        make_sweep(status(record(1, "Stopped"), phase=phases.SUCCEEDED, completionTime=START)), jobs(running(1)),
    ),
    "finished-and-expired": Case(
        "Its time to live is over.",
        make_sweep(status(phase=phases.SUCCEEDED, completionTime=START), spec__ttlSecondsAfterFinished=60),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_plan(name: str, request: pytest.FixtureRequest) -> None:
    case = CASES[name]
    plan = plan_sweep(case.sweep, case.observed, NOW)
    file = Path(__file__).parent / "sweep" / f"{name}.yaml"
    check_golden(plan, file, request.config.getoption("--update-golden"))


def test_every_decision_of_the_planner_has_a_case() -> None:
    with recorded_lines(plan_sweep) as lines:
        for case in CASES.values():
            plan_sweep(case.sweep, case.observed, NOW)
    assert return_lines(plan_sweep) - lines == set()


@pytest.mark.parametrize("phase", [phases.RUNNING, phases.BLOCKED, phases.SUSPENDED, phases.SUCCEEDED, phases.FAILED])
def test_each_phase_names_every_condition(phase: phases.Phase) -> None:
    conditions = phases.build_conditions(phase, Finding("Reason", "Message."))
    assert tuple(condition.type for condition in conditions) == phases.TYPES
    assert {condition.type for condition in conditions if condition.status} == phase.true
