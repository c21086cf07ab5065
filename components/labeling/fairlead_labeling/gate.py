"""The gate: which annotations count, whether annotators agree enough, and who does not. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fairlead_contracts.errors import shorten
from fairlead_datasets.errors import Unusable

from .agreement import Agreement, Answers, measure
from .documents import MAX_ANNOTATORS, Annotation, Tasks

_MAX_LINES = 20
_NAMES = {"cohen": "Cohen's", "fleiss": "Fleiss'"}


def bound(lines: Sequence[str], more: str = "more") -> list[str]:
    """Return the first lines, and how many more there are."""
    rest = len(lines) - _MAX_LINES
    return list(lines) if rest <= 0 else [*lines[:_MAX_LINES], f"and {rest:,} {more}"]


@dataclass(frozen=True)
class Requirements:
    """What annotations must meet."""

    min_kappa: float
    annotators: int = 2
    """How many annotators each item needs."""
    partial: bool = False
    """Whether items of which some annotations are missing are left out, and not an error."""


@dataclass(frozen=True)
class Verdict:
    """What the gate found."""

    agreement: Agreement
    answers: Answers
    incomplete: tuple[str, ...]
    """Items with fewer annotations than needed."""
    problems: tuple[str, ...]
    """Why the annotations do not pass; empty if they do."""


def collect(tasks: Tasks, annotations: Iterable[Annotation]) -> Answers:
    """Return the answers by item, in the order of the tasks; raise Unusable for labels and items that are unknown."""
    answers: dict[str, dict[str, str]] = {item.id: {} for item in tasks.items}
    labels, names = set(tasks.labels), set[str]()
    problems: list[str] = []
    for each in annotations:
        given = answers.get(each.item)
        names.add(each.annotator)
        if given is None:
            problems.append(f"{each.annotator}: got the item {each.item[:12]}, expected one of the tasks")
        elif each.label not in labels:
            problems.append(f"item {each.item[:12]}: {each.annotator}: got the label {shorten(each.label)}, "
                            f"expected one of {', '.join(tasks.labels[:20])}")  # fmt: skip
        elif given.setdefault(each.annotator, each.label) != each.label:
            problems.append(f"item {each.item[:12]}: {each.annotator}: got the labels {given[each.annotator]} and "
                            f"{each.label}, expected one")  # fmt: skip
    if len(names) > MAX_ANNOTATORS:
        problems.append(f"got {len(names):,} annotators, expected at most {MAX_ANNOTATORS:,}")
    if problems:
        raise Unusable("\n".join(bound(problems)))
    return answers


def judge(answers: Answers, required: Requirements) -> Verdict:
    """Judge answers; raise Unusable if there is nothing to judge."""
    complete = {item: given for item, given in answers.items() if len(given) >= required.annotators}
    incomplete = tuple(item for item in answers if item not in complete)
    if not complete:
        raise Unusable(f"got no item with {required.annotators} annotations, of {len(answers):,} items")
    agreement = measure(complete)
    problems = []
    if incomplete and not required.partial:
        problems += [
            f"item {item[:12]}: got {len(answers[item])} annotations ({', '.join(sorted(answers[item])) or 'none'}), "
            f"expected {required.annotators}"
            for item in incomplete
        ]
    problems += _judge_kappa(agreement, complete, required.min_kappa)
    if not problems and not agreement.majority:
        problems.append("no item has a label that more than half of its annotators chose")
    return Verdict(agreement, complete, incomplete, tuple(problems))


def _judge_kappa(agreement: Agreement, answers: Answers, minimum: float) -> list[str]:
    name = _NAMES[agreement.statistic]
    if agreement.kappa is None:
        return [f"{name} kappa is not defined: every annotation has the same label; "
                "agreement by chance cannot be told from any other"]  # fmt: skip
    if agreement.kappa >= minimum:
        return []
    lines = [f"{name} kappa is {agreement.kappa:.3f}, expected at least {minimum:g}"]
    weak = [pair for pair in agreement.pairs if pair.kappa is not None and pair.kappa < minimum]
    for pair in sorted(weak, key=lambda each: each.kappa or 0.0):
        lines.append(f"{' and '.join(pair.annotators)}: kappa {pair.kappa:.3f} on {pair.items:,} items")
    for annotator, number in sorted(agreement.deviations.items(), key=lambda each: -each[1]):
        if number:
            lines.append(f"{annotator}: differs from the majority on {number:,} items")
    differing = [item for item, given in answers.items() if len(set(given.values())) > 1]
    return lines + [f"item {item[:12]}: {_show(answers, item)}" for item in differing]


def _show(answers: Answers, item: str) -> str:
    return ", ".join(f"{name} says {label}" for name, label in sorted(answers[item].items()))
