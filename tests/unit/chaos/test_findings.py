"""What the campaign of faults against the operator calls a finding."""

import pytest

from tests.chaos.operator.__main__ import build_table, find_problem
from tests.chaos.operator.cluster import Outcome
from tests.chaos.operator.faults import Fault

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
