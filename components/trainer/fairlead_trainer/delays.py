"""What a worker does beside its training: reported while it takes long or fails, and not otherwise."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from fairlead_artifacts import StoreUnavailable
from fairlead_contracts.base import to_line
from fairlead_contracts.launcher_status import MAX_DELAY

from .client import ChannelError, LauncherClient, RequestRejected

_QUICK_SECONDS = 5.0
"""How long an activity may take before it is reported, unless it fails."""
_LOOK_SECONDS, _REPEAT_SECONDS = 0.5, 4.0
_LEAST_BYTES = 1 << 20
"""Free bytes with which a disk counts as full."""


class Activity:
    """What an agent does now. Threads other than the one that does it may describe it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._name: str | None = None
        self._began = 0.0
        self._problem = ""

    @contextmanager
    def during(self, name: str) -> Iterator[Callable[[StoreUnavailable], None]]:
        """Be busy with `name` during the block, which gets the function to call with each error that is retried."""
        self._problem, self._began = "", self._clock()
        self._name = f"{name} since {datetime.now(UTC):%H:%M:%S}Z"
        try:
            yield self._note
        finally:
            self._name = None

    def describe(self) -> str | None:
        """Return what takes long or fails, as one line; None if nothing does."""
        name, problem = self._name, self._problem
        if name is None or not (problem or self._clock() - self._began > _QUICK_SECONDS):
            return None
        return to_line(f"{name}: {problem}" if problem else name, MAX_DELAY)

    def _note(self, error: StoreUnavailable) -> None:
        self._problem = error.problem


def describe_full_disk(folder: Path) -> str | None:
    """Return that there is no space left where a worker writes; None if there is."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return None  # the folder is being replaced
    return "no space is left on the disk of its work folder" if free < _LEAST_BYTES else None


class Reporter:
    """A thread that reports a worker's activity until the worker registers; its heartbeats do so afterwards."""

    def __init__(self, client: LauncherClient, identity: dict[str, Any], activity: Activity) -> None:
        self._client, self._identity, self._activity = client, identity, activity
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="delays", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # not waited for: a request that hangs must not hold up the registration, which follows and counts more
        self._ending.set()

    def _run(self) -> None:
        said, due = None, 0.0
        while not self._ending.wait(_LOOK_SECONDS):
            activity = self._activity.describe()
            if activity is None or (activity == said and time.monotonic() < due):
                continue
            # the launcher may not listen yet
            with suppress(ChannelError, RequestRejected):
                self._client.post("/v1/delay", {**self._identity, "activity": activity})
                said, due = activity, time.monotonic() + _REPEAT_SECONDS
