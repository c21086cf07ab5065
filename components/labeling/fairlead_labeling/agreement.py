"""How far annotators agree: Cohen's and Fleiss' kappa. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

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
    pairs = tuple(_compare(pair, answers) for pair in combinations(names, 2))
    majority = {item: label for item, given in answers.items() if (label := _find_majority(given))}
    deviations = {
        name: sum(answers[item].get(name, label) != label for item, label in majority.items()) for name in names
    }
    everyone = len(names) == 2 and all(len(given) == 2 for given in answers.values())
    kappa = pairs[0].kappa if everyone else fleiss_kappa([list(given.values()) for given in answers.values()])
    disputed = tuple(item for item in answers if item not in majority)
    return Agreement("cohen" if everyone else "fleiss", kappa, pairs, majority, disputed, deviations)


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Return Cohen's kappa (1960) of two annotators' labels of the same items; None if it is not defined."""
    count = len(first)
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / count
    labels = {*first, *second}
    expected = sum((first.count(label) / count) * (second.count(label) / count) for label in labels)
    return _beyond_chance(observed, expected) if len(labels) > 1 else None


def fleiss_kappa(items: Sequence[Sequence[str]]) -> float | None:
    """Return Fleiss' kappa (1971) of the labels of each item; None if it is not defined.

    Items have at least two labels. Where their numbers differ, which Fleiss' paper leaves out, each item counts equally
    in the observed agreement, and each label equally in the agreement by chance.
    """
    total = sum(map(len, items))
    shares = {label: sum(given.count(label) for given in items) / total for given in items for label in given}
    if len(shares) < 2:
        return None
    observed = sum(map(_agreeing_pairs, items)) / len(items)
    return _beyond_chance(observed, sum(share**2 for share in shares.values()))


def _agreeing_pairs(given: Sequence[str]) -> float:
    """Return the share of the pairs of an item's labels that are equal."""
    number = len(given)
    return sum(given.count(label) * (given.count(label) - 1) for label in set(given)) / (number * (number - 1))


def _beyond_chance(observed: float, expected: float) -> float:
    return (observed - expected) / (1 - expected)


def _compare(pair: tuple[str, str], answers: Answers) -> Pair:
    both = [given for given in answers.values() if pair[0] in given and pair[1] in given]
    kappa = cohen_kappa([given[pair[0]] for given in both], [given[pair[1]] for given in both]) if both else None
    return Pair(pair, len(both), kappa)


def _find_majority(given: Mapping[str, str]) -> str | None:
    labels = list(given.values())
    most = max(sorted(set(labels)), key=labels.count)
    return most if labels.count(most) * 2 > len(labels) else None
