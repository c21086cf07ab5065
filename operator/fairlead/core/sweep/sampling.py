"""What the operator asks a sampler, and what the sampler answers: one JSON document each.

The sampler keeps nothing: each question has all that is known of the trials.
"""

from typing import Literal

from pydantic import Field, ValidationError

from fairlead.api.base import ApiModel
from fairlead.api.sweep import Sweep
from fairlead.api.sweep_parameters import MAX_PARAMETERS, Parameter
from fairlead.api.sweep_status import MAX_TRIALS, TrialState
from fairlead.core.sweep.choosing import find_next
from fairlead.core.sweep.observed import ObservedSweep, Suggestions
from fairlead.core.sweep.rungs import find_rungs
from fairlead.core.sweep.trials import update_trials
from fairlead.core.sweep.values import Values, are_allowed

_MAX_ASKED = 20
"""How many trials are asked for at a time; further ones follow. Each takes up to a tenth of a second."""


class KnownTrial(ApiModel):
    """A trial that has begun or ended."""

    number: int
    state: TrialState
    values: Values
    value: float | None = None
    rungs: dict[int, float] = Field(default_factory=dict)
    """The objective at the steps of the rungs that it has reached."""


class SamplerQuestion(ApiModel):
    """Which values shall the trials of these numbers have?"""

    parameters: list[Parameter] = Field(min_length=1, max_length=MAX_PARAMETERS)
    goal: Literal["Minimize", "Maximize"]
    seed: int
    startup_trials: int
    numbers: list[int] = Field(min_length=1, max_length=MAX_TRIALS)
    trials: list[KnownTrial] = Field(max_length=MAX_TRIALS)


class SamplerAnswer(ApiModel):
    """The values of the trials that were asked for, in the order of their numbers."""

    values: list[dict[str, str]] = Field(max_length=MAX_TRIALS)


def build_question(sweep: Sweep, observed: ObservedSweep) -> SamplerQuestion | None:
    """Return what to ask; None if no trial can begin, or no sampler is needed."""
    algorithm = sweep.spec.algorithm
    if algorithm.name != "TPE" or sweep.spec.suspend or sweep.status.completion_time:
        return None
    trials = update_trials(sweep, observed)
    numbers = find_next(sweep, trials)
    if not numbers:
        return None
    pruning = sweep.spec.pruning
    known = [
        KnownTrial(
            number=trial.number,
            state=trial.state,
            values=trial.parameters,
            value=trial.value,
            rungs=dict(zip(find_rungs(pruning, trial.number), trial.rungs, strict=False)) if pruning else {},
        )
        for trial in trials
    ]
    return SamplerQuestion(
        parameters=sweep.spec.parameters,
        goal=sweep.spec.objective.goal,
        seed=algorithm.seed,
        startup_trials=algorithm.startup_trials,
        numbers=list(numbers[:_MAX_ASKED]),
        trials=known,
    )


def read_answer(question: SamplerQuestion, content: bytes) -> Suggestions:
    """Return the suggestions in an answer, of which each value is checked."""
    try:
        answer = SamplerAnswer.model_validate_json(content)
    except ValidationError:
        return Suggestions(problem="The sampler's answer is invalid")
    if len(answer.values) != len(question.numbers):
        return Suggestions(problem=f"The sampler chose {len(answer.values)} of {len(question.numbers)} trials")
    if not all(are_allowed(question.parameters, values) for values in answer.values):
        return Suggestions(problem="The sampler chose values that spec.parameters does not allow")
    return Suggestions(dict(zip(question.numbers, answer.values, strict=True)))
