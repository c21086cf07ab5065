"""Validation results: the parameters of a validation artifact, written by data-validation and read by gates."""

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints

from .base import DIGEST, Contract

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
    suite_digest: str | None = Field(None, pattern=DIGEST)
    """The digest of the suite's expectations; None in results that were written before it existed."""
    failed: Annotated[tuple[Line, ...], Field(max_length=MAX_FAILED, strict=False)] = ()
    """A line for each expectation that was not met: `column x_max: …`."""

    @classmethod
    def build(cls, success: bool, suite: str, failed: list[str], suite_digest: str | None = None) -> Self:
        """Return a result within bounds: long lines and long lists are truncated."""
        lines = tuple(line[:_MAX_LINE] for line in failed[:MAX_FAILED])
        return cls(success=success, suite=suite[:_MAX_NAME], suite_digest=suite_digest, failed=lines)


def digest_expectations(expectations: list[Any]) -> str:
    """Return the digest of a suite's expectations: the SHA-256 of their canonical JSON (sorted keys, no spaces)."""
    text = json.dumps(expectations, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()}"
