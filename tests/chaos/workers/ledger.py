"""What the trainings' own logs of their steps say: how many steps were done again, and whether anything was lost."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.support.trainings.steps import Entry

HEARD_SECONDS = 2.0
"""A step is written for the agent within 0.5 s, and said with its next heartbeat within about a second."""


@dataclass(frozen=True)
class Account:
    """The whole training."""

    steps: int
    """The last step that was done."""
    repeated: int
    """How many steps were done again."""
    unheard: int
    """How many of them were done so shortly before a loss that no heartbeat can have said so."""
    begins: int
    """How often the training went on from a commit, its start included."""
    problems: tuple[str, ...]


def audit(entries: Sequence[Entry], least: int, most: int, total: int | None = None) -> Account:
    """Account for a training of at least `least` and at most `most` processes, and of `total` steps if it has ended."""
    lead = [entry for entry in entries if entry.rank == 0]
    problems: list[str] = []
    done = committed = repeated = unheard = 0
    times: dict[int, float] = {}
    """When each step since the last begin was done."""
    for entry in lead:
        where = f"step {entry.step} of {entry.process}"
        if entry.kind == "begin":
            if entry.step < committed:
                problems.append(f"{where}: went on from there, though step {committed} was committed")
            if entry.step > done:
                problems.append(f"{where}: went on from there, though only step {done} was done")
            repeated += max(done - entry.step, 0)
            last = max(times.values(), default=0.0)
            unheard += sum(step > entry.step and time > last - HEARD_SECONDS for step, time in times.items())
            done, times = entry.step, {}
        elif entry.kind == "step":
            if entry.step != done + 1:
                problems.append(f"{where}: followed step {done}")
            done = entry.step
            times[done] = entry.time
        elif entry.kind == "commit":
            committed = max(committed, entry.step)
    problems += _check_sizes(entries, least, most) + _check_twins(entries)
    if total is not None and (done != total or not any(entry.kind == "end" for entry in lead)):
        problems.append(f"ended after step {done}, expected {total}")
    begins = sum(entry.kind == "begin" for entry in lead)
    return Account(max((entry.step for entry in entries), default=0), repeated, unheard, begins, tuple(problems))


def _check_sizes(entries: Iterable[Entry], least: int, most: int) -> list[str]:
    wrong = sorted({entry.size for entry in entries if not least <= entry.size <= most})
    return [f"trained with {size} processes, expected {least} to {most}" for size in wrong]


def _check_twins(entries: Sequence[Entry]) -> list[str]:
    """Find steps that two processes did as the same rank though the training had not begun again in between."""
    begins = [entry.time for entry in entries if entry.kind == "begin" and entry.rank == 0]
    seen: defaultdict[tuple[int, int], list[Entry]] = defaultdict(list)
    problems = []
    for entry in entries:
        if entry.kind != "step":
            continue
        for other in seen[entry.rank, entry.step][-1:]:
            if not any(other.time < began < entry.time for began in begins):
                names = f"{other.process} and {entry.process}"
                problems.append(f"step {entry.step} was done twice as rank {entry.rank}, by {names}")
        seen[entry.rank, entry.step].append(entry)
    return problems


def find_recovery(entries: Iterable[Entry], since: float) -> float | None:
    """Return the seconds from a loss to the first step after the training has begun again; None if it has not."""
    begun = False
    for entry in entries:
        if entry.rank == 0 and entry.time > since:
            begun = begun or entry.kind == "begin"
            if begun and entry.kind == "step":
                return entry.time - since
    return None
