"""The sampler, as the process that it is, and how the operator asks it."""

import asyncio
from typing import Any

import pytest
from fairlead.api.sweep import Sweep
from fairlead.core.sweep.observed import ObservedSweep, Suggestions
from fairlead.core.sweep.sampling import KnownTrial, SamplerQuestion, build_question, read_answer
from fairlead.core.sweep.values import are_allowed, choose_random
from fairlead.kube import sampler
from fairlead.kube.inquiries import Inquiries
from fairlead.kube.kinds import Key
from fairlead.kube.sampler import Samplers

from tests.support.resources import make_sweep

KEY = Key("Sweep", "default", "digits")
SECONDS = 120.0
"""A sampler needs a second, on a machine that does nothing else."""
TPE = {"name": "TPE", "startupTrials": 5}


def question(sweep: Sweep | None = None, trials: list[KnownTrial] | None = None) -> SamplerQuestion:
    asked = build_question(sweep or make_sweep(spec__algorithm=TPE), ObservedSweep())
    assert asked
    return asked.model_copy(update={"trials": trials or []})


def known(number: int, **fields: Any) -> KnownTrial:
    values = choose_random(make_sweep().spec.parameters, 1, number)
    return KnownTrial.model_validate({"number": number, "state": "Succeeded", "values": values} | fields)


async def ask(asked: SamplerQuestion, uid: str = "u", samplers: Samplers | None = None) -> Suggestions:
    answered = asyncio.Event()
    samplers = samplers or Samplers(Inquiries(lambda _: answered.set(), SECONDS))
    assert samplers.observe(KEY, uid, asked) is None
    await asyncio.wait_for(answered.wait(), 2 * SECONDS)
    found = samplers.observe(KEY, uid, asked)
    assert found
    return found


async def test_values_are_allowed_and_the_same_for_the_same_question() -> None:
    states = ("Succeeded", "Pruned", "Failed", "Running", "Stopped")
    trials = [known(n, state=states[n % 5], value=0.1 * n, rungs={10: 0.05 * n}) for n in range(1, 15)]
    asked = question(trials=trials)
    first, second = await asyncio.gather(ask(asked), ask(asked))
    assert not first.problem
    assert list(first.values) == asked.numbers == [1, 2, 3]
    assert all(are_allowed(asked.parameters, values) for values in first.values.values())
    assert first == second


async def test_values_are_chosen_near_those_of_good_trials() -> None:
    trials = [known(n) for n in range(1, 41)]
    good = [each.model_copy(update={"value": -abs(float(each.values["width"]) - 48)}) for each in trials]
    sweep = make_sweep(spec__algorithm=TPE, spec__parallelism=10)
    widths = [int(values["width"]) for values in (await ask(question(sweep, good))).values.values()]
    assert sum(abs(width - 48) <= 8 for width in widths) >= 6, widths


async def test_a_sampler_without_optuna_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = "import sys; sys.modules['optuna'] = None; from fairlead.sampler import main; main()"
    monkeypatch.setattr(sampler, "_PROGRAM", ("-c", hidden))
    assert "Optuna is not installed" in (await ask(question())).problem


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import sys; sys.stdin.read(); sys.exit('no memory')", "exited with code 1: no memory"),
        ("import sys; sys.stdin.read(); print('{}')", "answer is invalid"),
        ("import sys; sys.stdin.read(); print('{\"values\": []}')", "chose 0 of 3 trials"),
        ('import sys; sys.stdin.read(); print(\'{"values": [{"lr": "9"}, {}, {}]}\')', "does not allow"),
    ],
)
async def test_a_sampler_that_fails_is_a_finding(program: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "_PROGRAM", ("-c", program))
    assert words in (await ask(question())).problem


async def test_a_sampler_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    processes: list[asyncio.subprocess.Process] = []
    create = asyncio.create_subprocess_exec

    async def remember(*words: str, **options: Any) -> asyncio.subprocess.Process:
        processes.append(await create(*words, **options))
        return processes[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", remember)
    monkeypatch.setattr(sampler, "_PROGRAM", ("-c", "import time; time.sleep(600)"))
    answered = asyncio.Event()
    samplers = Samplers(Inquiries(lambda _: answered.set(), 0.5, source="the sampler"))
    assert "the sampler did not answer within" in (await _await(samplers, answered)).problem
    assert [process.returncode for process in processes] == [-9]


async def _await(samplers: Samplers, answered: asyncio.Event) -> Suggestions:
    asked = question()
    samplers.observe(KEY, "u", asked)
    await asyncio.wait_for(answered.wait(), SECONDS)
    found = samplers.observe(KEY, "u", asked)
    assert found
    return found


async def test_a_trial_that_ends_meanwhile_does_not_begin_the_question_anew() -> None:
    asked = question()
    answered = asyncio.Event()
    samplers = Samplers(Inquiries(lambda _: answered.set(), SECONDS))
    samplers.observe(KEY, "u", asked)
    later = asked.model_copy(update={"trials": [known(9, value=1.0)]})
    assert samplers.observe(KEY, "u", later) is None
    await asyncio.wait_for(answered.wait(), 2 * SECONDS)
    assert samplers.observe(KEY, "u", later)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "random needs no sampler"),
        ({"spec__algorithm": TPE, "spec__suspend": True}, "nothing begins"),
    ],
)
def test_nothing_is_asked_without_need(changes: Any, reason: str) -> None:
    assert build_question(make_sweep(**changes), ObservedSweep()) is None, reason


def test_few_of_many_trials_are_asked_for_at_a_time() -> None:
    asked = question(make_sweep(spec__algorithm=TPE, spec__parallelism=100, spec__maxTrials=400))
    assert asked.numbers == list(range(1, 21))


def test_an_answer_of_megabytes_of_garbage_is_a_finding() -> None:
    assert read_answer(question(), b"[" * 1_000_000).problem
