"""What a graph server has counted of its models' inputs and outputs, in the bins of their references.

GET at PATH returns the facts, without a key. They have counts and no values, so that those of several servers are added
up. Who reads them twice learns, though, in which bins the values of the requests between are: of a single one, if there
was no other. The window ends now; it is as long as graph.json says, and up to an eighth more.
"""

from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from .base import DIGEST, PRINTABLE, Contract, problem
from .errors import Words
from .graph import MAX_NODES
from .reference import MAX_CATEGORIES, MAX_COLUMNS, MAX_SLOTS, MAX_TENSORS, Count, Index, Side
from .signature import MAX_NAME

PATH = "/fairlead/v1/monitor"
MAX_PROBLEM = 256
Slots = Annotated[tuple[Count, ...], Field(min_length=1, max_length=MAX_CATEGORIES + 1)]


class ColumnFacts(Contract):
    """The counts of a column."""

    index: Index
    """Its place in a row."""
    reference: Slots
    """What the reference has in each slot."""
    counts: Slots
    """What the requests had."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.counts) != len(self.reference):
            raise problem("counts", Words(f"{len(self.counts)} counts"), f"{len(self.reference)}, as in the reference")
        return self


class TensorFacts(Contract):
    """The counts of a tensor."""

    side: Side
    """Whether the model accepts or returns it."""
    name: str = Field(min_length=1, max_length=MAX_NAME, pattern=PRINTABLE)
    """Its name."""
    columns: tuple[ColumnFacts, ...] = Field((), max_length=MAX_COLUMNS)
    """Its columns that are counted, by their index."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not all(one.index < other.index for one, other in pairwise(self.columns)):
            raise problem("columns", Words("other orders"), "columns whose index rises")
        return self


class NodeFacts(Contract):
    """What was counted of a model."""

    node: str = Field(min_length=1, max_length=63, pattern=PRINTABLE)
    """The name of its node."""
    digest: str = Field(pattern=DIGEST)
    """The digest of its artifact."""
    problem: str | None = Field(None, max_length=MAX_PROBLEM, pattern=PRINTABLE)
    """Why nothing is counted, such as that there is no reference; None if it is."""
    reference_rows: Count = 0
    """The rows that the reference describes."""
    rows: Count = 0
    """The rows of requests in the window."""
    skipped: Count = 0
    """The rows in the window that were not counted, because too many came at a time."""
    tensors: tuple[TensorFacts, ...] = Field((), max_length=2 * MAX_TENSORS)
    """The counts of its inputs and outputs."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = {(tensor.side, tensor.name) for tensor in self.tensors}
        if len(names) < len(self.tensors):
            raise problem("tensors", Words(f"{len(self.tensors)} with {len(names)} names"), "unique names")
        return self


class MonitorFacts(Contract):
    """What a server has counted."""

    max_bytes: ClassVar[int] = 1 << 20

    schema_: Literal["fairlead.dev/monitor-facts/v1"] = Field("fairlead.dev/monitor-facts/v1", alias="schema")
    predictor: str = Field(max_length=253, pattern=PRINTABLE)
    """The predictor that it serves."""
    nodes: tuple[NodeFacts, ...] = Field((), max_length=MAX_NODES)
    """The models that are monitored."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (names := len({node.node for node in self.nodes})) < len(self.nodes):
            raise problem("nodes", Words(f"{len(self.nodes)} with {names} names"), "unique names")
        tensors = (tensor for node in self.nodes for tensor in node.tensors)
        slots = sum(len(column.counts) for tensor in tensors for column in tensor.columns)
        if slots > MAX_SLOTS:
            raise problem("nodes", Words(f"{slots} counts"), f"at most {MAX_SLOTS}")
        return self
