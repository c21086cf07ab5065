"""The observed state of a Sweep."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fairlead.core.conditions import Rejection
from fairlead.core.sweep.values import Values
from fairlead.core.views import TrialView


@dataclass(frozen=True)
class Suggestions:
    """What a sampler answers: the values of further trials, or why there are none."""

    values: Mapping[int, Values] = field(default_factory=dict)
    """By the number of the trial."""
    problem: str = ""


@dataclass(frozen=True)
class ObservedSweep:
    """Everything that the planner reads besides the sweep."""

    jobs: tuple[TrialView, ...] = ()
    """The TrainingJobs of the trials."""
    suggestions: Suggestions | None = None
    """The sampler's answer; None while nothing was asked, or nothing has been answered."""
    rejection: Rejection | None = None
    """Why the API server has just rejected a job."""
