"""reference.json: how a model's inputs and outputs are distributed in its training data, beside the model's file.

The converter writes it, and graph servers count their requests by its bins. A column is one value of each row, by its
place in the row when all dimensions after the first are flattened. Tensors whose rows have no fixed number of values
have one column, of all values. binning.py has the rule by which values are counted, for both sides.
"""

from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from .base import PRINTABLE, Contract, problem
from .datatypes import DATATYPES
from .errors import Words
from .signature import MAX_NAME

FILE = "reference.json"
MAX_BINS, MAX_CATEGORIES, MAX_TEXT = 16, 64, 128
MAX_COLUMNS, MAX_TENSORS = 256, 32
"""Of a tensor; of each side of a model."""
MAX_SLOTS = 20_480
"""The most places in which values are counted, over all columns: it bounds memory and the length of reports."""
_LARGEST = (1 << 53) - 1

Count = Annotated[int, Field(ge=0, le=_LARGEST)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Index = Annotated[int, Field(ge=0, le=_LARGEST)]
Side = Literal["input", "output"]


class Numbers(Contract):
    """A column of numbers: bins of about equal shares of the training data."""

    kind: Literal["numbers"] = "numbers"
    index: Index
    """Its place in a row."""
    minimum: float | None = None
    """The smallest number; None if there was none."""
    edges: tuple[float, ...] = Field((), max_length=MAX_BINS)
    """The upper ends of the bins, each of which belongs to its bin; the last one is the largest number."""
    counts: tuple[Count, ...] = Field((), max_length=MAX_BINS)
    """How many values each bin has."""
    not_finite: Count = 0
    """How many are not-a-number or infinite."""

    @property
    def slots(self) -> tuple[int, ...]:
        """Return the counts below the minimum, of each bin, above the last edge, and of what is not finite."""
        return (0, *self.counts, 0, self.not_finite)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.counts) != len(self.edges):
            raise problem("counts", Words(f"{len(self.counts)} counts"), f"{len(self.edges)}, one for each edge")
        if (self.minimum is None) != (not self.edges):
            raise problem("minimum", self.minimum, "a number with edges, and none without")
        if self.minimum is not None and self.edges[0] < self.minimum:
            raise problem("edges[0]", self.edges[0], f"at least the minimum, {self.minimum}")
        if not all(one < other for one, other in pairwise(self.edges)):
            raise problem("edges", self.edges, "numbers that rise")
        return self


class Categories(Contract):
    """A column of texts, or of integers of which there are few."""

    kind: Literal["categories"] = "categories"
    index: Index
    """Its place in a row."""
    values: tuple[int, ...] | tuple[Text, ...] = Field((), max_length=MAX_CATEGORIES)
    """The most frequent values."""
    counts: tuple[Count, ...] = Field((), max_length=MAX_CATEGORIES)
    """How often each occurred."""
    other: Count = 0
    """How many values were none of them."""

    @property
    def slots(self) -> tuple[int, ...]:
        """Return the counts of the values, and of all others."""
        return (*self.counts, self.other)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.counts) != len(self.values):
            raise problem("counts", Words(f"{len(self.counts)} counts"), f"{len(self.values)}, one for each value")
        if len(set(self.values)) != len(self.values):
            raise problem("values", self.values, "values that differ")
        return self


Column = Annotated[Numbers | Categories, Field(discriminator="kind")]


class TensorReference(Contract):
    """The columns of a tensor."""

    name: str = Field(min_length=1, max_length=MAX_NAME, pattern=PRINTABLE)
    """Its name."""
    datatype: str
    """Its V2 data type."""
    width: int | None = Field(ge=1, le=_LARGEST)
    """The number of values of a row; None for one that is not fixed."""
    columns: tuple[Column, ...] = Field(min_length=1, max_length=MAX_COLUMNS)
    """Those that are counted, by their index. Of wider tensors, only some are."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.datatype not in DATATYPES:
            raise problem("datatype", self.datatype, f"one of {', '.join(DATATYPES)}")
        indexes = [column.index for column in self.columns]
        if not all(one < other for one, other in pairwise(indexes)):
            raise problem("columns", Words("other orders"), "columns whose index rises")
        if indexes[-1] >= (self.width or 1):
            raise problem(f"columns[{len(indexes) - 1}].index", indexes[-1], f"less than {self.width or 1}")
        for place, column in enumerate(self.columns):
            self._check_kind(column, f"columns[{place}]")
        return self

    def _check_kind(self, column: Numbers | Categories, at: str) -> None:
        """Reject a column that is none of the tensor's type."""
        kind = DATATYPES[self.datatype].numpy
        if isinstance(column, Numbers):
            if kind == "O":
                raise problem(f"{at}.kind", column.kind, "categories in a tensor of BYTES")
            return
        if kind is None or kind.startswith("f"):
            raise problem(f"{at}.kind", column.kind, f"numbers in a tensor of {self.datatype}")
        expected = str if kind == "O" else int
        if not all(type(value) is expected for value in column.values):
            raise problem(f"{at}.values", column.values, "texts" if kind == "O" else "integers")
        if expected is int and not all(-_LARGEST <= int(value) <= _LARGEST for value in column.values):
            raise problem(f"{at}.values", column.values, f"integers from {-_LARGEST} to {_LARGEST}")


class Reference(Contract):
    """The whole file."""

    max_bytes: ClassVar[int] = 4 << 20

    schema_: Literal["fairlead.dev/reference/v1"] = Field("fairlead.dev/reference/v1", alias="schema")
    split: str = Field(min_length=1, max_length=253)
    """The split of the dataset that it describes."""
    rows: int = Field(ge=1, le=_LARGEST)
    """The number of its rows."""
    inputs: tuple[TensorReference, ...] = Field((), max_length=MAX_TENSORS)
    """The model's inputs, as the model sees them."""
    outputs: tuple[TensorReference, ...] = Field((), max_length=MAX_TENSORS)
    """What the model returns for them."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for side, tensors in (("inputs", self.inputs), ("outputs", self.outputs)):
            names = [tensor.name for tensor in tensors]
            if repeated := next((name for name in names if names.count(name) > 1), None):
                raise problem(side, Words(f"{names.count(repeated)} named {repeated}"), "unique names")
        if (slots := self.count_slots()) > MAX_SLOTS:
            raise problem("", Words(f"{slots} bins and categories"), f"at most {MAX_SLOTS}")
        return self

    def count_slots(self) -> int:
        """Return the number of places in which values are counted."""
        return sum(len(column.slots) for tensor in (*self.inputs, *self.outputs) for column in tensor.columns)
