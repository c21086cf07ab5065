"""When a checkpoint is due: by steps, or by time, which is translated into steps that all processes agree on. Pure."""

_GROWTH = 2
"""How much longer than before the wait for the next decision may be: the rate of steps may change."""


class Schedule:
    """Decides at which steps to save. `decide` is asked of one process, and all follow its answer."""

    def __init__(self, every_steps: int | None, every_seconds: float | None, now: float) -> None:
        self._every_steps, self._every_seconds = every_steps, every_seconds
        self.begin(0, now)

    def begin(self, step: int, now: float) -> None:
        """Begin after a step, at which a state was just saved or restored."""
        self._saved, self._saved_at = step, now
        self._next = step + 1

    def is_due(self, step: int) -> bool:
        """Return whether to decide after this step; equal in all processes."""
        by_steps = self._every_steps is not None and step % self._every_steps == 0
        return by_steps or (self._every_seconds is not None and step >= self._next)

    def decide(self, step: int, now: float, busy: bool) -> tuple[bool, int]:
        """Return whether to save now, and after which step to decide again by time."""
        by_steps = self._every_steps is not None and step % self._every_steps == 0
        if self._every_seconds is None:
            return by_steps and not busy, step + 1
        left, steps = self._every_seconds - (now - self._saved_at), max(step - self._saved, 1)
        if (by_steps or left <= 0) and not busy:
            return True, step + 1
        rate = steps / max(now - self._saved_at, 1e-3)
        return False, step + max(1, min(int(rate * left), _GROWTH * steps))

    def follow(self, step: int, next_step: int, saves: bool, now: float) -> None:
        """Record what was decided."""
        self._next = next_step
        if saves:
            self._saved, self._saved_at = step, now
