"""The agent's heartbeat: sends progress to the launcher and receives its commands."""

import queue
import threading
import time
from pathlib import Path
from typing import Any

from .client import ChannelError, LauncherClient, RequestRejected
from .delays import Activity, describe_full_disk
from .parameters import read_parameters
from .processes import Event, Recall, Standing, StopOrder
from .progress import read_activity, read_progress
from .settings import Timing

_FAST_INTERVAL = 0.2


def find_parameters(progress_file: Path) -> Path:
    """Return the file of a script's parameters, beside that of its progress."""
    return progress_file.with_name("parameters.json")


class Heartbeat:
    """A thread that sends heartbeats to the launcher and passes its commands to the main thread."""

    def __init__(
        self,
        client: LauncherClient,
        identity: dict[str, Any],
        timing: Timing,
        progress_file: Path,
        events: "queue.SimpleQueue[Event]",
        activity: Activity,
    ) -> None:
        self._client = client
        self._identity = identity
        self._timing = timing
        self._progress_file = progress_file
        self._events = events
        self._activity = activity
        self._interval = timing.heartbeat
        self._woken = threading.Event()
        self._stopped = False
        self._leaving = self._ended = False
        self._known: dict[str, str] = {}
        """The parameters that the launcher knows."""
        self._epoch: int | None = None
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def begin(self, epoch: int, progress_file: Path) -> None:
        """Report on the processes that were started for another epoch from now on."""
        self._ended, self._interval = False, self._timing.heartbeat
        self._progress_file, self._epoch = progress_file, epoch

    def end(self) -> None:
        """Report to the launcher that all processes have exited with 0; pass on its answers, more often than before."""
        self._ended = True
        self._interval = min(self._interval, _FAST_INTERVAL)
        self._woken.set()

    def leave(self) -> None:
        """Report to the launcher that this worker will be stopped soon."""
        self._leaving = True
        self._woken.set()

    def stop(self, seconds: float) -> dict[str, Any]:
        """Stop the thread, waiting at most `seconds`; return the last progress and the parameters not sent yet."""
        self._stopped = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        return {"progress": self.read_progress(), "parameters": self._read_unknown()}

    def read_progress(self) -> dict[str, Any] | None:
        """Return the last progress."""
        progress = read_progress(self._progress_file)
        return progress.to_json() if progress else None

    def _read_unknown(self) -> dict[str, str] | None:
        """Return the script's parameters if the launcher does not know them: they are sent once."""
        parameters = read_parameters(find_parameters(self._progress_file))
        return parameters if parameters and parameters != self._known else None

    def _find_delay(self) -> str | None:
        """Return what takes long or fails: for the agent, for its script, or because of the disk."""
        # last, because a script that cannot write reports nothing
        file = self._progress_file
        return self._activity.describe() or read_activity(file) or describe_full_disk(file.parent)

    def _run(self) -> None:
        answered = time.monotonic()
        while not self._stopped:
            try:
                # first, so that what follows is not of an earlier epoch
                epoch = self._epoch
                flags = {"leaving": self._leaving, "ended": self._ended, "epoch": epoch}
                parameters = self._read_unknown()
                said = {"progress": self.read_progress(), "parameters": parameters, "activity": self._find_delay()}
                message = {**self._identity, **said, **flags}
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
                self._known = parameters or self._known
                if answer["state"] == "stop":
                    self._events.put(StopOrder("the run has ended"))
                    return
                if "allEnded" in answer:
                    standing = Standing(answer["first"], answer["othersFinished"], answer["allEnded"], epoch)
                    self._events.put(standing)
                if "leave" in answer:
                    self._events.put(Recall(answer["leave"]))
            self._woken.wait(self._interval)
            self._woken.clear()
