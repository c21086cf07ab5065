"""How far annotators agree: Cohen's and Fleiss' kappa. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

Answers = Mapping[str, Mapping[str, str]]
"""Item -> annotator -> label."""


@dataclass(frozen=True)
class Pair:
    """How far two annotators agree on the items that both have labelled."""

    annotators: tuple[str, str]
    items: int
    kappa: float | None


@dataclass(frozen=True)
class Agreement:
    """How far all annotators agree."""

    statistic: str
    """`cohen` for two annotators, `fleiss` for more."""
    kappa: float | None
    """None where it is not defined: every annotation has the same label."""
    pairs: tuple[Pair, ...]
    majority: Mapping[str, str]
    """The label of each item that more than half of its annotators chose."""
    disputed: tuple[str, ...]
    """The items without one."""
    deviations: Mapping[str, int]
    """How many items with a majority each annotator has labelled otherwise."""


def measure(answers: Answers) -> Agreement:
    """Measure the agreement on items, each of which has at least two annotations."""
    names = sorted({name for given in answers.values() for name in given})
    pairs = _compare(answers)
    majority = {item: label for item, given in answers.items() if (label := _find_majority(given))}
    differing = Counter(name for item, label in majority.items() for name, own in answers[item].items() if own != label)
    deviations = {name: differing[name] for name in names}
    everyone = len(names) == 2 and all(len(given) == 2 for given in answers.values())
    kappa = pairs[0].kappa if everyone else fleiss_kappa([list(given.values()) for given in answers.values()])
    disputed = tuple(item for item in answers if item not in majority)
    return Agreement("cohen" if everyone else "fleiss", kappa, pairs, majority, disputed, deviations)


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Return Cohen's kappa (1960) of two annotators' labels of the same items; None if it is not defined."""
    count = len(first)
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / count
    firsts, seconds = Counter(first), Counter(second)
    expected = sum((number / count) * (seconds[label] / count) for label, number in firsts.items())
    return _beyond_chance(observed, expected) if len(firsts | seconds) > 1 else None


def fleiss_kappa(items: Sequence[Sequence[str]]) -> float | None:
    """Return Fleiss' kappa (1971) of the labels of each item; None if it is not defined.

    Items have at least two labels. Where their numbers differ, which Fleiss' paper leaves out, each item counts equally
    in the observed agreement, and each label equally in the agreement by chance.
    """
    counts = Counter(chain.from_iterable(items))
    total = counts.total()
    if len(counts) < 2:
        return None
    observed = sum(map(_agreeing_pairs, items)) / len(items)
    return _beyond_chance(observed, sum((number / total) ** 2 for number in counts.values()))


def _agreeing_pairs(given: Sequence[str]) -> float:
    """Return the share of the pairs of an item's labels that are equal."""
    number = len(given)
    return sum(count * (count - 1) for count in Counter(given).values()) / (number * (number - 1))


def _beyond_chance(observed: float, expected: float) -> float:
    return (observed - expected) / (1 - expected)


def _compare(answers: Answers) -> tuple[Pair, ...]:
    """Compare every two annotators who have an item in common."""
    both: dict[tuple[str, str], tuple[list[str], list[str]]] = {}
    for given in answers.values():
        for (name, label), (other, its) in combinations(sorted(given.items()), 2):
            first, second = both.setdefault((name, other), ([], []))
            first.append(label)
            second.append(its)
    return tuple(Pair(names, len(both[names][0]), cohen_kappa(*both[names])) for names in sorted(both))


def _find_majority(given: Mapping[str, str]) -> str | None:
    ((most, count),) = Counter(given.values()).most_common(1)
    return most if count * 2 > len(given) else None
