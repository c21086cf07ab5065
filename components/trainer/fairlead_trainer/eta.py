"""The remaining time of a run, from the recent rate of its steps."""

import math
from dataclasses import dataclass
from typing import Self

from fairlead_contracts.progress import ProgressReport

_WINDOW = 60.0
"""Seconds over which the rate of steps is measured."""


@dataclass(frozen=True)
class Eta:
    """The recent steps of a run, each with the time when it was first reported."""

    seen: tuple[tuple[float, int], ...] = ()

    def record(self, progress: ProgressReport, now: float) -> Self:
        """Return the estimate that also knows this progress; a step below the last one begins anew."""
        seen = self.seen
        if not seen or progress.step < seen[-1][1]:
            seen = ((now, progress.step),)
        elif progress.step > seen[-1][1]:
            seen = (*seen, (now, progress.step))
        while len(seen) > 2 and now - seen[0][0] > _WINDOW:
            seen = seen[1:]
        return type(self)(seen)

    def estimate(self, progress: ProgressReport, now: float) -> int | None:
        """Return whole seconds, or None until a rate is known."""
        step, total = progress.step, progress.total_steps
        if total is None or total <= step:
            return 0 if total is not None else None
        (start, first), (_, last) = self.seen[0], self.seen[-1]
        # Measure up to now instead of the last step, so that the ETA of a hanging run grows.
        return math.ceil((total - last) * (now - start) / (last - first)) if last > first else None
