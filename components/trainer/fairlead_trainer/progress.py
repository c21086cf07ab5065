"""Progress of a training run: written by rank 0's script, read by its agent, turned into an ETA by the launcher."""

import json
import math
import os
import time
from collections import deque
from pathlib import Path
from typing import Any

from fairlead_contracts.environment import ProcessEnvironment

_SIZE_LIMIT = 65536
_METRICS_LIMIT = 20
_WINDOW = 60.0


class Progress:
    """Tell the job how far training is. Only rank 0 writes, at a bounded rate; outside a job nothing is written.

    >>> progress = Progress(total_steps=200)
    >>> progress.update(step=40, epoch=1, samples=64, loss=0.4)
    """

    def __init__(self, total_steps: int | None = None, *, min_interval: float = 0.5) -> None:
        file = ProcessEnvironment.from_environment(os.environ).progress_file
        self._file = Path(file) if file else None
        self._total_steps = total_steps
        self._min_interval = min_interval
        self._written = -math.inf
        self._recent: deque[tuple[float, int]] = deque()
        self._samples = 0

    def update(self, step: int, *, epoch: int | None = None, samples: int = 0, **metrics: float) -> None:
        """Report a finished step, the samples that all workers saw in it, and any metrics.

        The last step is always written, others when the last writing is long enough ago.
        """
        if self._file is None:
            return
        now = time.monotonic()
        self._samples += samples
        self._recent.append((now, self._samples))
        while now - self._recent[0][0] > _WINDOW:
            self._recent.popleft()
        if now - self._written < self._min_interval and step != self._total_steps:
            return
        self._written = now
        document: dict[str, Any] = {"step": int(step), "metrics": {key: float(value) for key, value in metrics.items()}}
        if self._total_steps is not None:
            document["totalSteps"] = int(self._total_steps)
        if epoch is not None:
            document["epoch"] = int(epoch)
        rate = self._rate()
        if rate is not None:
            document["samplesPerSecond"] = round(rate, 1)
        _write(self._file, document)

    def _rate(self) -> float | None:
        (start, first), (end, last) = self._recent[0], self._recent[-1]
        return (last - first) / (end - start) if last > first and end > start else None


def _write(file: Path, document: dict[str, Any]) -> None:
    part = file.with_name(f".{file.name}.part")
    part.write_text(json.dumps(document))
    part.replace(file)


def read_progress(file: Path) -> dict[str, Any] | None:
    """Read what the script wrote, keeping only what the contract names; None where there is nothing of use."""
    try:
        with file.open("rb") as opened:
            document = json.loads(opened.read(_SIZE_LIMIT))
    except (OSError, ValueError):
        return None
    return clean_progress(document)


def clean_progress(document: Any) -> dict[str, Any] | None:
    """Keep the known fields with values of their types: scripts may write anything."""
    if not isinstance(document, dict) or not _is_natural(document.get("step")):
        return None
    clean: dict[str, Any] = {"step": document["step"]}
    for key in ("totalSteps", "epoch"):
        if _is_natural(document.get(key)):
            clean[key] = document[key]
    if _is_finite(document.get("samplesPerSecond")):
        clean["samplesPerSecond"] = document["samplesPerSecond"]
    metrics = document.get("metrics")
    items = metrics.items() if isinstance(metrics, dict) else ()
    clean["metrics"] = {str(key)[:64]: value for key, value in list(items)[:_METRICS_LIMIT] if _is_finite(value)}
    return clean


class Eta:
    """Estimate the seconds that remain from the recent rate of steps."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def estimate(self, progress: dict[str, Any], now: float) -> int | None:
        """Take note of the progress; return whole seconds, or None while there is nothing to reckon with."""
        step, total = progress["step"], progress.get("totalSteps")
        if self._seen and step < self._seen[-1][1]:
            self._seen.clear()
        if not self._seen or step > self._seen[-1][1]:
            self._seen.append((now, step))
        while now - self._seen[0][0] > _WINDOW and len(self._seen) > 2:
            self._seen.popleft()
        if total is None or total <= step:
            return 0 if total is not None else None
        (start, first), (_, last) = self._seen[0], self._seen[-1]
        # Up to now, not up to the last step: a run that hangs sees its ETA grow.
        return math.ceil((total - last) * (now - start) / (last - first)) if last > first else None


def _is_natural(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 53


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
