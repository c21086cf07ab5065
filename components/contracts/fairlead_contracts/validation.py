"""Validation results: the parameters of a validation artifact, written by data-validation and read by gates."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints

from .base import Contract

KIND = "validation"
MAX_FAILED, _MAX_LINE, _MAX_NAME = 1000, 1000, 1000
Line = Annotated[str, StringConstraints(max_length=_MAX_LINE)]


class ValidationResult(Contract):
    """Whether a dataset met a suite of expectations."""

    schema_: Literal["fairlead.dev/validation/v1"] = Field("fairlead.dev/validation/v1", alias="schema", exclude=True)
    success: bool
    """Whether every expectation was met."""
    suite: str | None = Field(None, max_length=_MAX_NAME)
    """The suite's name."""
    failed: Annotated[tuple[Line, ...], Field(max_length=MAX_FAILED, strict=False)] = ()
    """A line for each expectation that was not met: `column x_max: …`."""

    @classmethod
    def build(cls, success: bool, suite: str, failed: list[str]) -> Self:
        """Return a result within bounds: long lines and long lists are truncated."""
        lines = tuple(line[:_MAX_LINE] for line in failed[:MAX_FAILED])
        return cls(success=success, suite=suite[:_MAX_NAME], failed=lines)
