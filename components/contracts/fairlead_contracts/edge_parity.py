"""parity.json of edge bundles, version 2: a target compared with its source, by class and slice, and its budget.

It has all figures of version 1 by their names, so that what reads only those reads both versions.
"""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, PlainSerializer, PlainValidator, model_validator

from .base import Contract, problem
from .errors import ContractError
from .parity import BundleParity, BundleTable
from .parity_budget import Budget
from .plain import load_json

SCHEMA = "fairlead.dev/edge-parity/v2"
MAX_GROUPS, MAX_TEXT, _MAX_SPLIT = 1000, 64, 253
MAX_GOLDEN = 64

Count = Annotated[int, Field(ge=0, le=(1 << 53) - 1)]
Share = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]


class Group(Contract):
    """The examples of one class, or of one slice, and what both models answer to them."""

    model_config = ConfigDict(alias_generator=None)
    column: Text
    """The array of the split that has the value: `y` for classes."""
    value: Text
    examples: Annotated[int, Field(ge=1, le=(1 << 53) - 1)]
    right_before: Count
    """Number of examples of which the source predicts the class that they have."""
    right_after: Count
    """Number of examples of which the target does."""
    lost: Count
    """Number of examples of which the source does, and the target does not."""
    agreeing: Count
    """Number of examples for which both predict the same class, right or wrong."""
    accuracy_low: Share
    """The target's accuracy is between this and `accuracy_high`, with 95 % confidence."""
    accuracy_high: Share

    @property
    def drop(self) -> float:
        """The drop in accuracy; negative if the target is better."""
        return (self.right_before - self.right_after) / self.examples

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("right_before", "right_after", "lost", "agreeing"):
            if (count := getattr(self, name)) > self.examples:
                raise problem(name, count, f"at most the number of examples, {self.examples}")
        if not max(0, self.right_before - self.right_after) <= self.lost <= self.right_before:
            raise problem("lost", self.lost, "the difference of right_before and right_after, up to right_before")
        return self


class Golden(Contract):
    """Examples that both models get one at a time, as on a device."""

    model_config = ConfigDict(alias_generator=None, allow_inf_nan=True)
    examples: Annotated[int, Field(ge=1, le=MAX_GOLDEN)]
    max_abs_difference: float
    """The largest difference of an output value."""
    relative_mean_difference: float
    """The mean difference, in standard deviations of the source's outputs on the split."""
    agreeing: Annotated[int, Field(ge=0, le=MAX_GOLDEN)]
    """Number of examples for which both predict the same class."""


class PublishedGolden(Golden):
    """The same; its figures are finite."""

    model_config = ConfigDict(allow_inf_nan=False)


class EdgeParity(BundleParity):
    """A target compared with its source, as measured on examples that were not used for calibration."""

    max_bytes: ClassVar[int] = 1 << 21
    distinct: Count | None = None
    """Number of distinct examples, by the model's input; None in older artifacts."""
    mean_abs_difference: float
    """The mean difference of the output values."""
    relative_mean_difference: float
    """The mean difference, in standard deviations of the source's; of several columns and outputs, the largest."""
    lost: Count
    """Number of examples that the source gets right and the target does not."""
    won: Count
    """Number of examples that the target gets right and the source does not."""
    drop_high: Share
    """The drop in accuracy that could have been missed: it is at most this, with 95 % confidence."""
    accuracy_low: Share
    """The target's accuracy is between this and `accuracy_high`, with 95 % confidence."""
    accuracy_high: Share
    sure_accuracy_before: Share
    """The source's accuracy is at least this, with 99.99 % confidence."""
    sure_accuracy_after: Share
    """The target's accuracy is at least this, with 99.99 % confidence."""
    chance_before: Share
    """The accuracy of answers as frequent as the source's that do not depend on the input."""
    chance_after: Share
    """The accuracy of answers as frequent as the target's that do not depend on the input."""
    golden: Golden
    class_count: Count
    """Number of classes in the split; `classes` has those with the most examples, if there are too many."""
    classes: Annotated[tuple[Group, ...], Field(max_length=MAX_GROUPS, strict=False)]
    slices: Annotated[tuple[Group, ...], Field(max_length=MAX_GROUPS, strict=False)] = ()


def _parse_budget(document: object) -> Budget:
    try:
        return document if isinstance(document, Budget) else Budget.parse(document)
    except ContractError as error:
        raise problem(error.field, error.got, error.expected) from None


class EdgeParityTable(EdgeParity):
    """parity.json of an edge bundle: the figures and their budget."""

    model_config = ConfigDict(allow_inf_nan=False)
    schema_: Literal["fairlead.dev/edge-parity/v2"] = Field("fairlead.dev/edge-parity/v2", alias="schema")
    golden: PublishedGolden
    split: Annotated[str, Field(max_length=_MAX_SPLIT)]
    """The split of the dataset that was used for the comparison."""
    max_drop: Share
    """As in the budget; for readers of version 1."""
    budget: Annotated[Budget, PlainValidator(_parse_budget), PlainSerializer(Budget.to_json)]

    @classmethod
    def build(cls, parity: EdgeParity, split: str, budget: Budget) -> Self:
        """Return the table of figures that are within their budget; raise ContractError for values not finite."""
        return cls.parse(
            {
                **dict(parity),
                "golden": dict(parity.golden),
                "split": split,
                "max_drop": budget.max_drop,
                "budget": budget,
            },
            "parity",
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """The figures for the artifact's manifest: all but those of classes and slices."""
        return {key: value for key, value in self.to_json().items() if not isinstance(value, list | dict | None)}


def parse_table(content: bytes, at: str) -> EdgeParityTable | BundleTable:
    """Parse parity.json of an edge bundle, of either version; raise ContractError."""
    document = load_json(content, EdgeParityTable.max_bytes, at)
    first = isinstance(document, dict) and "schema" not in document
    kind: type[EdgeParityTable | BundleTable] = BundleTable if first else EdgeParityTable
    return kind.parse_json(content, at)
