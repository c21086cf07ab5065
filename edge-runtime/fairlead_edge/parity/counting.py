"""Count what both models get right: of all examples, of each class, and of each slice."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from fairlead_contracts.binomial import bound_above, bound_below, bound_between
from fairlead_contracts.edge_parity import MAX_GROUPS, Group
from numpy.typing import NDArray

CONFIDENCE = 0.95
_SURE = 0.9999

Classes = NDArray[np.int64]


@dataclass(frozen=True)
class Predictions:
    """The class of each example, and what both models predict."""

    labels: Classes
    before: Classes
    after: Classes

    def select(self, chosen: NDArray[np.bool_]) -> "Predictions":
        """Return those of some examples."""
        return Predictions(self.labels[chosen], self.before[chosen], self.after[chosen])

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def right_before(self) -> int:
        """The number of examples that the source gets right."""
        return int((self.before == self.labels).sum())

    @property
    def right_after(self) -> int:
        """The number of examples that the target gets right."""
        return int((self.after == self.labels).sum())

    @property
    def lost(self) -> int:
        """The number of examples that the source gets right, and the target does not."""
        return int(((self.before == self.labels) & (self.after != self.labels)).sum())

    @property
    def agreeing(self) -> int:
        """The number of examples for which both predict the same class."""
        return int((self.before == self.after).sum())


def count(predictions: Predictions) -> dict[str, Any]:
    """Return the figures of all examples, by their names in EdgeParity."""
    examples, lost = len(predictions), predictions.lost
    right_before, right_after = predictions.right_before, predictions.right_after
    won = right_after - right_before + lost
    low, high = bound_between(right_after, examples, CONFIDENCE)
    return {
        "examples": examples,
        "agreement": predictions.agreeing / examples,
        "accuracy_before": right_before / examples,
        "accuracy_after": right_after / examples,
        "accuracy_low": round_share(low),
        "accuracy_high": round_share(high),
        "lost": lost,
        "won": won,
        "drop_high": round_share(_bound_drop(lost, won, examples)),
        "sure_accuracy_before": round_share(bound_below(right_before, examples, _SURE)),
        "sure_accuracy_after": round_share(bound_below(right_after, examples, _SURE)),
        "chance_before": round_share(_find_chance(predictions.before, predictions.labels)),
        "chance_after": round_share(_find_chance(predictions.after, predictions.labels)),
    }


def count_groups(column: str, values: NDArray[Any], predictions: Predictions) -> Iterator[Group]:
    """Yield the figures of the examples of each value; of those with the most examples, if there are too many."""
    found, counts = np.unique(values, return_counts=True)
    kept = np.sort(np.argsort(-counts, kind="stable")[:MAX_GROUPS])
    for value in found[kept]:
        chosen = predictions.select(values == value)
        low, high = bound_between(chosen.right_after, len(chosen), CONFIDENCE)
        yield Group(
            column=column,
            value=str(value),
            examples=len(chosen),
            right_before=chosen.right_before,
            right_after=chosen.right_after,
            lost=chosen.lost,
            agreeing=chosen.agreeing,
            accuracy_low=round_share(low),
            accuracy_high=round_share(high),
        )


def round_share(share: float) -> float:
    """Keep six places: the rest is noise that would give equal bundles different digests."""
    return round(share, 6)


def _bound_drop(lost: int, won: int, examples: int) -> float:
    """Return what the drop in accuracy is at most, with 95 % confidence.

    The drop is the probability to lose an example minus that to win one; each is bounded with 97.5 %.
    """
    confidence = (1 + CONFIDENCE) / 2
    return max(0.0, bound_above(lost, examples, confidence) - bound_below(won, examples, confidence))


def _find_chance(predicted: Classes, labels: Classes) -> float:
    """Return the accuracy of answers as frequent as these that do not depend on the input.

    It is the agreement that J. Cohen's kappa expects ("A coefficient of agreement for nominal scales", Educational and
    Psychological Measurement 20, 1960). An answer that is always the same is no better than it, however common it is.
    """
    size = int(max(predicted.max(), labels.max())) + 1
    shares = [np.bincount(classes, minlength=size) / len(labels) for classes in (predicted, labels)]
    return float(shares[0] @ shares[1])
