"""What the campaign of faults against the operator calls a finding."""

import asyncio

import pytest
from fairlead.kube.kinds import TRAINING_JOB

from tests.chaos.operator.__main__ import NEVER_HIT, build_table, find_problem, try_fault
from tests.chaos.operator.cluster import Outcome
from tests.chaos.operator.faults import Fault
from tests.chaos.operator.stage import Life, Stage

END = {"phase": "Succeeded", "events": ["Succeeded"]}
QUIET = Outcome("succeeds", Fault(), 1.0, END)


@pytest.mark.parametrize(
    ("phase", "problem", "hits", "expected"),
    [
        pytest.param("Succeeded", "", 1, "", id="as the undisturbed one"),
        pytest.param("Failed", "", 1, "phase: Failed, expected Succeeded", id="another end"),
        pytest.param("Succeeded", "", 0, "the fault never hit", id="a fault that never hit"),
        pytest.param("Failed", "not Succeeded after 90 s", 0, "not Succeeded after 90 s", id="what happened is first"),
    ],
)
def test_a_life_is_equal_only_if_its_fault_has_hit(phase: str, problem: str, hits: int, expected: str) -> None:
    outcome = Outcome("succeeds", Fault("lost", 2), 2.0, END | {"phase": phase}, problem, hits=hits)
    outcome.problem = find_problem(QUIET, outcome)
    assert outcome.problem == expected
    counts = [list(column.cells) for column in build_table([outcome]).columns][1:4]
    assert counts == [["1"], [str(int(not expected))], [str(hits)]]


async def _no_script(_: Stage) -> None: ...


@pytest.mark.parametrize(
    ("fault", "writes", "expected"),
    [
        pytest.param(Fault("late", 45), [46], [45], id="it hits at once"),
        pytest.param(Fault("late", 45), [40, 39], [45, 39, 38], id="fewer writes beside others, twice"),
        pytest.param(Fault("lost", 3), [0, 0, 0, 0], [3, 0, 0, 0], id="nothing that it could hit"),
    ],
)
def test_a_fault_that_came_too_late_is_tried_again_at_what_there_was(
    fault: Fault, writes: list[int], expected: list[int]
) -> None:
    tried: list[int] = []

    async def run(life: Life, fault: Fault) -> Outcome:
        tried.append(fault.at)
        count = writes[len(tried) - 1] if len(tried) <= len(writes) else writes[-1]
        passed = {"writes": ["PUT"] * count} if fault.on_write else {"events": count}
        return Outcome(life.name, fault, 2.0, END, hits=int(fault.at < count), **passed)

    life = Life("succeeds", TRAINING_JOB, _no_script)
    outcome = asyncio.run(try_fault(run, {life.name: QUIET}, life, fault))
    assert tried == expected
    assert outcome.problem == ("" if max(writes) else NEVER_HIT)


def test_another_end_is_a_finding_though_the_fault_never_hit() -> None:
    async def run(life: Life, fault: Fault) -> Outcome:
        return Outcome(life.name, fault, 2.0, END | {"phase": "Failed"})

    life = Life("succeeds", TRAINING_JOB, _no_script)
    outcome = asyncio.run(try_fault(run, {life.name: QUIET}, life, Fault("late", 3)))
    assert outcome.problem == "phase: Failed, expected Succeeded"
