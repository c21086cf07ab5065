"""Progress of a training run: written by rank 0's script, forwarded by agent and launcher, read by the operator."""

import math
from typing import Annotated, ClassVar, Self

from pydantic import Field, StringConstraints
from pydantic_core import from_json

from .base import PRINTABLE, Sparse

MAX_METRICS, MAX_METRIC_NAME, MAX_DAMAGED = 20, 64, 8
_LARGEST = (1 << 53) - 1
"""The largest count: every JSON reader represents integers up to this exactly."""
MAX_SECONDS = 7 * 86400.0
"""The longest time that a checkpoint may have taken."""

_Natural = Annotated[int, Field(ge=0, le=_LARGEST)]


class ProgressReport(Sparse):
    """The progress of the training."""

    max_bytes: ClassVar[int] = 1 << 16

    step: int = Field(ge=0, le=_LARGEST)
    """Optimizer steps done."""
    total_steps: int | None = Field(None, ge=0, le=_LARGEST)
    """Optimizer steps to do."""
    epoch: int | None = Field(None, ge=0, le=_LARGEST)
    """The current pass over the data."""
    checkpoint_step: int | None = Field(None, ge=0, le=_LARGEST)
    """The step of the last complete checkpoint."""
    checkpoint_seconds: float | None = Field(None, ge=0, le=MAX_SECONDS)
    """How long the last complete checkpoint took to be written."""
    checkpoint_bytes: int | None = Field(None, ge=0, le=_LARGEST)
    """Its size."""
    resumed_from_step: int | None = Field(None, ge=0, le=_LARGEST)
    """The step of the checkpoint from which this attempt continued."""
    damaged_steps: Annotated[tuple[_Natural, ...], Field(max_length=MAX_DAMAGED, strict=False)] | None = None
    """The steps of later checkpoints, which are damaged, so that it continued from an earlier one."""
    repeated_steps: int | None = Field(None, ge=0, le=_LARGEST)
    """The steps that this process has done again, because it went on from an earlier one."""
    samples_per_second: float | None = None
    """Training throughput over all workers."""
    eta_seconds: int | None = Field(None, ge=0, le=_LARGEST)
    """Estimated time left, in whole seconds; the launcher adds it."""
    metrics: dict[Annotated[str, StringConstraints(max_length=MAX_METRIC_NAME, pattern=PRINTABLE)], float] = Field(
        default={}, max_length=MAX_METRICS
    )
    """The latest values, such as the loss."""

    @classmethod
    def salvage_json(cls, content: bytes) -> Self | None:
        """Parse a file that a script may have written by hand, keeping the valid fields; return None without a step."""
        try:
            return cls.salvage(from_json(content)) if len(content) <= cls.max_bytes else None
        except ValueError:
            return None

    @classmethod
    def salvage(cls, document: object) -> Self | None:
        """Keep the valid fields of a parsed document; return None without a step."""
        if not isinstance(document, dict) or not _is_natural(document.get("step")):
            return None
        naturals = {name: value for name, key in _OPTIONAL.items() if _is_natural(value := document.get(key))}
        rate, metrics = document.get("samplesPerSecond"), document.get("metrics")
        seconds, damaged = document.get("checkpointSeconds"), document.get("damagedSteps")
        items = list(metrics.items())[:MAX_METRICS] if isinstance(metrics, dict) else []
        return cls(
            step=document["step"],
            **naturals,
            samples_per_second=rate if _is_finite(rate) else None,
            checkpoint_seconds=seconds if _is_seconds(seconds) else None,
            damaged_steps=tuple(filter(_is_natural, damaged[:MAX_DAMAGED])) if isinstance(damaged, list) else None,
            metrics={
                name[:MAX_METRIC_NAME]: value for name, value in items if name.isprintable() and _is_finite(value)
            },
        )


_OPTIONAL = {
    "total_steps": "totalSteps",
    "epoch": "epoch",
    "checkpoint_step": "checkpointStep",
    "checkpoint_bytes": "checkpointBytes",
    "resumed_from_step": "resumedFromStep",
    "repeated_steps": "repeatedSteps",
}
"""The optional counts of a report, and their names in documents."""


def _is_natural(value: object) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and _is_finite(value) and 0 <= value <= MAX_SECONDS


def _is_finite(value: object) -> bool:
    # A larger integer may not fit a float.
    return (type(value) is int and abs(value) <= _LARGEST) or (type(value) is float and math.isfinite(value))
