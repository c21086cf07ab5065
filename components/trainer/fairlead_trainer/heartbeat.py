"""The agent's heartbeat: sends progress to the launcher and receives its commands."""

import queue
import threading
import time
from pathlib import Path
from typing import Any

from .client import ChannelError, LauncherClient, RequestRejected
from .processes import Event, Standing, StopOrder
from .progress import read_progress
from .settings import Timing

_FAST_INTERVAL = 0.2


class Heartbeat:
    """A thread that sends heartbeats to the launcher and passes its commands to the main thread."""

    def __init__(
        self,
        client: LauncherClient,
        identity: dict[str, Any],
        timing: Timing,
        progress_file: Path,
        events: "queue.SimpleQueue[Event]",
    ) -> None:
        self._client = client
        self._identity = identity
        self._timing = timing
        self._progress_file = progress_file
        self._events = events
        self._interval = timing.heartbeat
        self._woken = threading.Event()
        self._stopped = False
        self._leaving = self._ended = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def end(self) -> None:
        """Tell the launcher that all processes have exited with 0; pass on its answers, more often than before."""
        self._ended = True
        self._interval = min(self._interval, _FAST_INTERVAL)
        self._woken.set()

    def leave(self) -> None:
        """Tell the launcher that this worker will be stopped soon."""
        self._leaving = True
        self._woken.set()

    def stop(self, seconds: float) -> dict[str, Any] | None:
        """Stop the thread, waiting at most `seconds`, and return the last progress."""
        self._stopped = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        return self._read_progress()

    def _read_progress(self) -> dict[str, Any] | None:
        progress = read_progress(self._progress_file)
        return progress.to_json() if progress else None

    def _run(self) -> None:
        answered = time.monotonic()
        while not self._stopped:
            try:
                flags = {"leaving": self._leaving, "ended": self._ended}
                message = {**self._identity, "progress": self._read_progress(), **flags}
                answer = self._client.post("/v1/heartbeat", message, keep=True)
            except RequestRejected as error:
                self._events.put(StopOrder(str(error)))
                return
            except ChannelError as error:
                if time.monotonic() - answered > self._timing.silence:
                    self._events.put(StopOrder(str(error)))
                    return
            else:
                answered = time.monotonic()
                if answer["state"] == "stop":
                    self._events.put(StopOrder("the run has ended"))
                    return
                if flags["ended"]:
                    self._events.put(Standing(answer["first"], answer["othersFinished"]))
            self._woken.wait(self._interval)
            self._woken.clear()
