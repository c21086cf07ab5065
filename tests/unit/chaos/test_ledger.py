"""The account of a training whose workers are lost, from the logs of its processes."""

import json
from pathlib import Path

import pytest

from tests.chaos.workers.ledger import audit, find_recovery
from tests.support.trainings.steps import Entry, read_entries


def log(*lines: str) -> list[Entry]:
    """Return entries, a second apart: `a0 step 7` is of process a, whose rank is 0."""
    entries = []
    for time, line in enumerate(lines):
        name, kind, step = line.split()
        entries.append(Entry(float(time), kind, int(step), int(name[1:]), 2, name[0]))  # type: ignore[arg-type]
    return entries


QUIET = ("a0 begin 0", "b1 begin 0", "a0 step 1", "b1 step 1", "a0 step 2", "b1 step 2", "a0 commit 2")
LOST = (
    *QUIET,
    "a0 step 3",
    "b1 step 3",
    "a0 step 4",
    "b0 begin 2",
    "b0 step 3",
    "b0 step 4",
    "b0 commit 4",
    "b0 end 4",
)


def test_an_undisturbed_training_repeats_nothing() -> None:
    account = audit(log(*QUIET, "a0 end 2"), 1, 2, total=2)
    assert (account.steps, account.repeated, account.begins, account.problems) == (2, 0, 1, ())


def test_steps_since_the_last_commit_are_repeated_after_a_loss() -> None:
    account = audit(log(*LOST), 1, 2, total=4)
    assert (account.steps, account.repeated, account.unheard, account.begins) == (4, 2, 1, 2)
    assert account.problems == ()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((*QUIET, "b0 begin 1"), "step 1 of b: went on from there, though step 2 was committed"),
        ((*QUIET, "b0 begin 3"), "though only step 2 was done"),
        ((*QUIET, "a0 step 4"), "step 4 of a: followed step 2"),
        ((*QUIET, "c1 step 2"), "step 2 was done twice as rank 1, by b and c"),
        (QUIET, "ended after step 2, expected 4"),
        (LOST[:-1], "ended after step 4, expected 4"),
    ],
)
def test_what_must_not_happen_is_found(lines: tuple[str, ...], words: str) -> None:
    problems = audit(log(*lines), 1, 2, total=4).problems
    assert any(words in problem for problem in problems), problems


def test_too_few_processes_are_found() -> None:
    assert audit(log(*QUIET), 3, 4).problems == ("trained with 2 processes, expected 3 to 4",)


def test_a_loss_is_over_with_the_first_step_after_the_training_has_begun_again() -> None:
    assert find_recovery(log(*LOST), since=7.5) == 3.5
    assert find_recovery(log(*QUIET), since=2.5) is None


def test_logs_are_read_in_the_order_of_their_times_without_a_line_that_is_being_written(tmp_path: Path) -> None:
    line = {"kind": "step", "step": 1, "rank": 0, "size": 1}
    (tmp_path / "a.jsonl").write_text(json.dumps(line | {"time": 2}) + "\n" + '{"time": 3, "ki')
    (tmp_path / "b.jsonl").write_text(json.dumps(line | {"time": 1}) + "\n")
    assert [entry.process for entry in read_entries(tmp_path)] == ["b", "a"]
