"""Model cards: the parameters of a model-card artifact, written by the evaluation and read by a deployment's gate."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from .base import PRINTABLE, Contract

KIND = "model-card"
METRIC = r"^[a-z][a-z0-9_]*$"
_MAX_LINES, _MAX_LINE, _MAX_NAME = 100, 500, 64
Line = Annotated[str, StringConstraints(max_length=_MAX_LINE, pattern=PRINTABLE)]


class ModelCard(Contract):
    """Whether a model is good enough, by the success metric that its evaluation names."""

    schema_: Literal["fairlead.dev/model-card/v1"] = Field("fairlead.dev/model-card/v1", alias="schema", exclude=True)
    success: bool
    """Whether the metric reaches its minimum and no other requirement failed."""
    metric: str = Field(max_length=_MAX_NAME, pattern=METRIC)
    """The success metric, by scikit-learn's name; more of it is better."""
    value: float
    """What was measured on the split."""
    minimum: float
    """What the evaluation asked for."""
    examples: int = Field(ge=1)
    """Number of examples of the split."""
    split: str = Field(max_length=253)
    """The split of the dataset on which the model was evaluated."""
    failed: Annotated[tuple[Line, ...], Field(max_length=_MAX_LINES, strict=False)] = ()
    """A line for each requirement that is not met."""

    @classmethod
    def shorten(cls, lines: list[str]) -> tuple[str, ...]:
        """Return lines within the bounds of `failed`."""
        return tuple(line[:_MAX_LINE] for line in lines[:_MAX_LINES])
