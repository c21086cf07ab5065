"""Progress of a training run: rank 0's script writes it, its agent reads it."""

import json
import logging
import math
import os
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from fairlead_artifacts import open_regular
from fairlead_contracts.base import to_line
from fairlead_contracts.environment import ProcessEnvironment
from fairlead_contracts.launcher_status import MAX_DELAY
from fairlead_contracts.progress import ProgressReport

log = logging.getLogger("progress")

_WINDOW = 60.0
_unwritten: set[Path] = set()
"""The files that could not be written last: each is logged once, because the log may be on the same full disk."""


class Progress:
    """Report training progress. Only rank 0 writes, at a limited rate; outside a job this does nothing.

    >>> progress = Progress(total_steps=200)
    >>> progress.update(step=40, epoch=1, samples=64, loss=0.4)
    """

    def __init__(self, total_steps: int | None = None, *, min_interval: float = 0.5) -> None:
        file = ProcessEnvironment.from_environment(os.environ).progress_file
        self._file = Path(file) if file else None
        self._total_steps = total_steps
        self._min_interval = min_interval
        self._written = -math.inf
        self.checkpoint_step: int | None = None
        """The step of the last checkpoint; `Checkpoints` sets it."""
        self._checkpoint_seconds: float | None = None
        self._checkpoint_bytes: int | None = None
        self.resumed_from_step: int | None = None
        """The step of the checkpoint from which the training continued."""
        self.damaged_steps: tuple[int, ...] = ()
        """The steps of later checkpoints, which are damaged."""
        self._step = self._repeated = 0
        self._document: dict[str, Any] | None = None
        self._lock = threading.Lock()
        """Held while the file is written, because a checkpoint is complete in another thread than the training's."""
        self._recent: deque[tuple[float, int]] = deque()
        self._samples = 0

    def update(self, step: int, *, epoch: int | None = None, samples: int = 0, **metrics: float) -> None:
        """Report a finished step, the samples that all workers processed in it, and any metrics.

        The last step is always written; others at most once per `min_interval` seconds. A script that goes on from an
        earlier step, as elastic ones do, reports that step first, so that the repeated ones are counted.
        """
        if self._file is None:
            return
        falls, self._repeated = step < self._step, self._repeated + max(self._step - step, 0)
        self._step = step
        now = time.monotonic()
        self._samples += samples
        self._recent.append((now, self._samples))
        while now - self._recent[0][0] > _WINDOW:
            self._recent.popleft()
        if now - self._written < self._min_interval and step != self._total_steps and not falls:
            return
        self._written = now
        document: dict[str, Any] = {"step": int(step), "metrics": {key: float(value) for key, value in metrics.items()}}
        if self._total_steps is not None:
            document["totalSteps"] = int(self._total_steps)
        if epoch is not None:
            document["epoch"] = int(epoch)
        if self._repeated:
            document["repeatedSteps"] = self._repeated
        rate = self._rate()
        if rate is not None:
            document["samplesPerSecond"] = round(rate, 1)
        with self._lock:
            self._document = document
            self._write(self._file, document)

    def note_checkpoint(self, step: int, seconds: float, size: int) -> None:
        """Report that a checkpoint is complete; `Checkpoints` calls this from its thread."""
        with self._lock:
            self._checkpoint_seconds, self._checkpoint_bytes = seconds, size
            self.checkpoint_step = step
            # at once: after the last step of a training no update follows
            if self._file is not None and self._document is not None:
                self._write(self._file, self._document)

    def _write(self, file: Path, document: dict[str, Any]) -> None:
        """Write what the script reported last, with what is known of checkpoints now."""
        document = dict(document)
        if self.checkpoint_step is not None:
            document["checkpointStep"] = self.checkpoint_step
        if self._checkpoint_seconds is not None:
            document["checkpointSeconds"] = round(self._checkpoint_seconds, 3)
            document["checkpointBytes"] = self._checkpoint_bytes
        if self.resumed_from_step is not None:
            document["resumedFromStep"] = self.resumed_from_step
            document["damagedSteps"] = list(self.damaged_steps) or None
        report = ProgressReport.salvage(document)
        if report is not None:
            replace_file(file, json.dumps(report.to_json()))

    def _rate(self) -> float | None:
        (start, first), (end, last) = self._recent[0], self._recent[-1]
        return (last - first) / (end - start) if last > first and end > start else None


class ActivityFile:
    """What a script does that fails, such as saving a checkpoint; its agent reports it until it is cleared."""

    def __init__(self) -> None:
        progress_file = ProcessEnvironment.from_environment(os.environ).progress_file
        self._file = find_activity(Path(progress_file)) if progress_file else None

    def write(self, activity: str) -> None:
        """Report what fails, as one line."""
        if self._file is not None:
            replace_file(self._file, to_line(activity, MAX_DELAY))

    def clear(self) -> None:
        """Report that it does not fail any more."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)


def find_activity(progress_file: Path) -> Path:
    """Return the file with what a script does that fails, beside that of its progress."""
    return progress_file.with_name("activity.txt")


def read_activity(progress_file: Path) -> str | None:
    """Read what a script does that fails; return None if nothing does."""
    try:
        with open_regular(find_activity(progress_file)) as opened:
            return to_line(opened.read(4 * MAX_DELAY).decode(errors="replace"), MAX_DELAY) or None
    except OSError:
        return None


def replace_file(file: Path, content: str) -> None:
    """Write a file that another process reads at any time; one that cannot be written must not end the training."""
    part = file.with_name(f".{file.name}.part")
    try:
        part.write_text(content, encoding="utf-8")
        part.replace(file)
    except OSError as error:
        if file not in _unwritten:
            log.warning("%s cannot be written, the training goes on: %s", file.name, error.strerror)
        _unwritten.add(file)
    else:
        _unwritten.discard(file)


def read_progress(file: Path) -> ProgressReport | None:
    """Read the script's progress file, keeping the valid fields; return None if there are none."""
    try:
        with open_regular(file) as opened:
            return ProgressReport.salvage_json(opened.read(ProgressReport.max_bytes + 1))
    except OSError:
        return None
