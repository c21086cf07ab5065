"""The parameters that a Sweep searches, and the values that each may have."""

from typing import Annotated, ClassVar

from fairlead_contracts.base import PRINTABLE
from pydantic import Field, StringConstraints

from fairlead.api.base import ApiModel, Rule

MAX_PARAMETERS, MAX_VALUES, MAX_VALUE = 20, 64, 64
PARAMETER = r"^[A-Za-z][A-Za-z0-9_.-]{0,62}$"
_LARGEST_INTEGER = 2**53 - 1
_LARGEST_DOUBLE = 1e15

Double = Annotated[float, Field(ge=-_LARGEST_DOUBLE, le=_LARGEST_DOUBLE)]
Integer = Annotated[int, Field(ge=-_LARGEST_INTEGER, le=_LARGEST_INTEGER)]
Value = Annotated[str, StringConstraints(min_length=1, max_length=MAX_VALUE, pattern=PRINTABLE)]

_RANGE = (
    Rule(
        "self.min < self.max",
        "max: expected more than min; omit the parameter if it has one value",
        lambda space: space.min < space.max,
        field=".max",
    ),
    Rule(
        "!has(self.step) || !has(self.log) || !self.log",
        "step: expected none with log",
        lambda space: space.step is None or not space.log,
        field=".step",
    ),
)
"""The rules of both kinds of numbers."""


def _positive(zero: str) -> Rule:
    """Return the rule of a logarithmic range, with CEL's zero of its type."""
    return Rule(
        f"!has(self.log) || !self.log || self.min > {zero}",
        "min: expected more than 0 with log",
        lambda space: not space.log or space.min > 0,
        field=".min",
    )


class DoubleSpace(ApiModel):
    """Numbers from `min` to `max`."""

    cel: ClassVar[tuple[Rule, ...]] = (*_RANGE, _positive("0.0"))

    min: Double
    """The smallest value."""
    max: Double
    """The largest value."""
    step: float | None = Field(None, gt=0, le=_LARGEST_DOUBLE)
    """The distance of two values, counted from `min`; any value is possible if unset."""
    log: bool = False
    """Whether small values are as likely as large ones, as for learning rates."""


class IntegerSpace(ApiModel):
    """Whole numbers from `min` to `max`."""

    cel: ClassVar[tuple[Rule, ...]] = (*_RANGE, _positive("0"))

    min: Integer
    """The smallest value."""
    max: Integer
    """The largest value."""
    step: int | None = Field(None, ge=1, le=_LARGEST_INTEGER)
    """The distance of two values, counted from `min`; 1 if unset."""
    log: bool = False
    """Whether small values are as likely as large ones."""


class CategoricalSpace(ApiModel):
    """Some texts, in no order."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.values.all(v, self.values.exists_one(w, w == v))",
            "values: expected no two that are equal",
            lambda space: len(set(space.values)) == len(space.values),
            field=".values",
        ),
    )

    values: list[Value] = Field(min_length=1, max_length=MAX_VALUES)
    """The values, as text: quote numbers."""


class Parameter(ApiModel):
    """A parameter of the training that differs between trials."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "(has(self.double) ? 1 : 0) + (has(self.integer) ? 1 : 0) + (has(self.categorical) ? 1 : 0) == 1",
            "double: expected exactly one of double, integer and categorical",
            lambda parameter: len([space for space in parameter.spaces if space is not None]) == 1,
            field=".double",
        ),
    )

    name: str = Field(max_length=63, pattern=PARAMETER)
    """Its name, unique in the sweep. `${trialParameters.NAME}` in the template's texts is replaced by its value."""
    double: DoubleSpace | None = None
    """Numbers in a range."""
    integer: IntegerSpace | None = None
    """Whole numbers in a range."""
    categorical: CategoricalSpace | None = None
    """Texts in a list."""

    @property
    def spaces(self) -> tuple[DoubleSpace | None, IntegerSpace | None, CategoricalSpace | None]:
        """Return the three spaces, of which one is set."""
        return self.double, self.integer, self.categorical
