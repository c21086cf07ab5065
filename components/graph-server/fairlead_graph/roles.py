"""Seldon's node types: the methods of a node that are called before, between and after its children."""

from dataclasses import dataclass
from typing import Literal

from fairlead_contracts.graph import NodeType

Method = Literal["predict", "transform-input", "transform-output", "route", "aggregate", "send-feedback"]


@dataclass(frozen=True)
class Role:
    """The methods that a node of one type must have, by when they are called."""

    before: Method | None = None
    """Called with the message on its way down."""
    choose: Method | None = None
    """Called to choose the child that receives the message."""
    join: Method | None = None
    """Called with the children's outputs."""
    after: Method | None = None
    """Called with the output on its way up."""


ROLES: dict[NodeType, Role] = {
    "MODEL": Role(before="predict"),
    "TRANSFORMER": Role(before="transform-input"),
    "OUTPUT_TRANSFORMER": Role(after="transform-output"),
    "ROUTER": Role(choose="route"),
    "COMBINER": Role(join="aggregate"),
}
