"""The sampler: `python -m fairlead.sampler` reads a question from its standard input and writes the answer.

It is a process of its own, because Optuna and numpy need memory that the operator does not, and time in which the
operator's event loop would stand still. It exits with 3 if Optuna is not installed.
"""

import sys
import warnings
from typing import Any

from fairlead.api.sweep_parameters import Parameter
from fairlead.core.sweep.sampling import KnownTrial, SamplerAnswer, SamplerQuestion
from fairlead.core.sweep.values import Values, derive_seed, format_value

OPTUNA_MISSING = 3


def main() -> None:
    """Answer one question."""
    question = SamplerQuestion.model_validate_json(sys.stdin.buffer.read())
    try:
        answer = SamplerAnswer(values=choose(question))
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        sys.exit(OPTUNA_MISSING)
    sys.stdout.write(answer.model_dump_json())


def choose(question: SamplerQuestion) -> list[Values]:
    """Return values for each number; raises ModuleNotFoundError without Optuna.

    A trial that runs counts as bad (`constant_liar`), so that those which run at a time differ.
    """
    import optuna

    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seed = derive_seed(question.seed, question.numbers[0], "tpe")
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=question.startup_trials, constant_liar=True)
    study = optuna.create_study(direction=question.goal.lower(), sampler=sampler)
    spaces = {parameter.name: _build_distribution(parameter) for parameter in question.parameters}
    study.add_trials([_build_trial(question, trial, spaces) for trial in question.trials if trial.state != "Stopped"])
    chosen = []
    for _ in question.numbers:
        params = study.ask(spaces).params
        chosen.append({each.name: format_value(each, params[each.name]) for each in question.parameters})
    return chosen


def _build_distribution(parameter: Parameter) -> Any:
    from optuna import distributions

    if parameter.categorical:
        return distributions.CategoricalDistribution(parameter.categorical.values)
    if space := parameter.integer:
        return distributions.IntDistribution(space.min, space.max, log=space.log, step=space.step or 1)
    double = parameter.double
    assert double is not None
    return distributions.FloatDistribution(double.min, double.max, log=double.log, step=double.step)


def _build_trial(question: SamplerQuestion, trial: KnownTrial, spaces: dict[str, Any]) -> Any:
    from optuna.trial import TrialState, create_trial

    states = {"Succeeded": TrialState.COMPLETE, "Pruned": TrialState.PRUNED, "Failed": TrialState.FAIL}
    state = states.get(trial.state, TrialState.RUNNING)
    return create_trial(
        state=state,
        params={each.name: _read_value(each, trial.values[each.name]) for each in question.parameters},
        distributions=spaces,
        value=trial.value if state is TrialState.COMPLETE else None,
        intermediate_values=trial.rungs,
    )


def _read_value(parameter: Parameter, text: str) -> float | int | str:
    if parameter.categorical:
        return text
    return int(text) if parameter.integer else float(text)


if __name__ == "__main__":
    main()
