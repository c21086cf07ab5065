"""How much a target of the edge runtime may differ from its source: a limit on each figure of its parity.

This module is loaded by the command's options, so it needs no pydantic.
"""

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from .errors import ContractError, Words
from .plain import require

MAX_EXAMPLES = 10**9


@dataclass(frozen=True)
class Budget:
    """The limits; None is no limit. Raises ContractError if one is out of bounds.

    Limits of the whole split hold for what was observed. Those of classes and slices, which have few examples, are
    exceeded only by what the examples prove.
    """

    min_examples: int = 100
    """Without so many examples, little is shown."""
    max_drop: float = 0.01
    """The drop in accuracy, as a fraction."""
    max_missed_drop: float | None = None
    """The drop in accuracy that could have been missed with the examples at hand (95 % confidence)."""
    min_accuracy: float = 0.0
    """The target's accuracy; it must be better than chance in any case."""
    min_agreement: float = 0.95
    """The fraction of the examples for which both models predict the same class."""
    max_difference: float | None = None
    """The largest difference of an output value."""
    max_mean_difference: float | None = None
    """The mean difference of the output values."""
    max_relative_difference: float = 0.1
    """The mean difference of the output values, in standard deviations of the source's: honest targets have less than
    0.05."""
    max_class_drop: float = 0.1
    """The drop in accuracy of a class."""
    min_class_agreement: float = 0.8
    """The agreement on the examples of a class."""
    max_slice_drop: float = 0.1
    """The drop in accuracy of a slice."""
    min_slice_agreement: float = 0.8
    """The agreement on the examples of a slice."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            check_limit(name, value)

    @classmethod
    def parse(cls, document: object) -> Self:
        """Parse parsed JSON; what is not in it has its default. Unknown names raise ContractError, as bad values do."""
        if not isinstance(document, Mapping):
            raise ContractError("", document, "limits by name")
        known = [field.name for field in fields(cls)]
        for name in document:
            require(name in known, name, Words("an unknown limit"), f"one of {', '.join(known)}")
        return cls(**document)

    def to_json(self) -> dict[str, Any]:
        """Return the limits as a JSON object."""
        return asdict(self)


def check_limit(name: str, value: object) -> None:
    """Raise ContractError if a value is out of bounds for the limit of this name."""
    if name == "min_examples":
        fits = type(value) is int and 1 <= value <= MAX_EXAMPLES
        require(fits, name, value, f"an integer from 1 to {MAX_EXAMPLES}")
    elif value is None:
        require(name in _OPTIONAL, name, value, "a number")
    else:
        share = not name.endswith("_difference")
        largest = 1 if share else sys.float_info.max
        expected = "a number from 0 to 1" if share else "a finite number of at least 0"
        fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= largest
        require(fits, name, value, expected)


_OPTIONAL = {field.name for field in fields(Budget) if field.default is None}
