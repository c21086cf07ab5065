"""Restart delays of failing containers, as in a kubelet. Pure."""

_FIRST, _LONGEST = 10.0, 300.0
_RECOVERED = 600.0


def restart_delay(failures: int) -> float:
    """Return the seconds to wait after this many consecutive failures: 0, 10, 20, 40 … 300."""
    return 0.0 if failures <= 1 else min(_LONGEST, _FIRST * 2.0 ** (failures - 2))


def count_failures(before: int, ran_seconds: float) -> int:
    """Return the number of consecutive failures after one more; a long run resets it."""
    return 1 if ran_seconds >= _RECOVERED else before + 1


def retry_delay(attempt: int) -> float:
    """Return the seconds before the next attempt to find something missing: 0.1, 0.2 … 5."""
    return float(min(5.0, 0.1 * 2.0 ** min(attempt, 10)))
