"""An agent's steps in an elastic run whose processes are stopped at each change of its members and started anew."""

import logging
import shutil
import time
from typing import Any

from fairlead_contracts.termination import STOPPED_CODE, Failure

from .client import ChannelError, RequestRejected, retry
from .outcome import Failed, Outcome, Stopped
from .processes import Event, Exit, ProcessSet, Recall, Standing
from .settings import HEARTBEATS_PER_SECOND
from .worker import LEAVE_SECONDS, Worker

log = logging.getLogger("agent")

_PAUSE = 0.2


class _Recalled(Exception):
    """The processes of this epoch must be stopped."""


class EpochWorker(Worker):
    """One worker of one attempt. Whose fault it is that processes fail, the launcher decides."""

    _epoch = -1
    """The epoch of the processes."""

    def _train(self) -> Outcome:
        place = self._prepare()
        self._heartbeat.start()
        while True:
            failure = None
            try:
                self._begin(place)
                self._wait_for_processes()
                self._wait_for_others()
                return self._conclude()
            except Failed as error:
                if error.failure.reason not in ("Exited", "Killed"):
                    raise  # nobody else can be to blame
                failure = error.failure
            except _Recalled:
                log.info("stopping the processes of epoch %d", self._epoch)
            place = self._leave_epoch(failure)

    def _begin(self, place: dict[str, Any]) -> None:
        """Start the processes of an epoch; what those of an earlier one write goes elsewhere."""
        self._epoch = place["epoch"]
        self._processes = ProcessSet(self._events, self._timing.stop_grace, self._epoch)
        shutil.rmtree(self._work_folder, ignore_errors=True)
        self._work_folder = self._folder / f"epoch-{self._epoch}"
        self._work_folder.mkdir()
        self._progress_file = self._work_folder / "progress.json"
        self._heartbeat.begin(self._epoch, self._progress_file)
        self._start(place["slots"])

    def _wait_for_others(self) -> None:
        """Wait until the processes of all workers have exited with 0: until then, they may be started again."""
        self._heartbeat.end()
        while not (isinstance(event := self._next_event(None), Standing) and event.all_ended):
            pass

    def _leave_epoch(self, failure: Failure | None) -> dict[str, Any]:
        """Stop the processes, and wait for this worker's place in a later epoch."""
        self.stop()
        message = self._build_departure(failure)
        answer: dict[str, Any] = {}
        while "slots" not in answer:
            if answer:
                time.sleep(max(_PAUSE, self._settings.workers / HEARTBEATS_PER_SECOND))
            answer = self._ask(message, failure)
        return answer

    def _build_departure(self, failure: Failure | None) -> dict[str, Any]:
        return {
            **self._identity,
            "epoch": self._epoch,
            "port": self._port.renew(),
            "failure": failure.to_json() if failure else None,
            "progress": self._heartbeat.read_progress(),
        }

    def _ask(self, message: dict[str, Any], failure: Failure | None) -> dict[str, Any]:
        """Ask once for a place in the next epoch; raise Failed or Stopped if there is none for this worker."""
        try:
            answer = retry(lambda: self._client.post("/v1/leave", message), seconds=self._timing.silence)
        except (ChannelError, RequestRejected) as error:
            # the launcher ends with the run, perhaps before it has answered: then this worker's failure is its own
            if failure is None:
                raise Stopped(str(error)) from None
            raise Failed(failure) from None
        if answer["state"] == "stop":
            if failure is None:
                raise Stopped("the run has ended")
            raise Failed(failure)
        return answer

    def _next_event(self, timeout: float | None) -> Event | None:
        event = super()._next_event(timeout)
        match event:
            case Exit() | Standing() if event.epoch != self._epoch:
                return None
            case Recall(epoch) if epoch == self._epoch:
                raise _Recalled
        return event

    def _leave(self) -> Outcome:
        """Wait until the launcher ends the epoch, and until the next one has begun without this worker."""
        if self._success is not None:
            return self._conclude()  # the signal may have interrupted the report
        end = time.monotonic() + LEAVE_SECONDS
        self._heartbeat.leave()
        try:
            if self._has_ended_with_others(end):
                return self._conclude()
        except _Recalled:
            pass
        self.stop()
        message = self._build_departure(None)
        while time.monotonic() < end and self._ask(message, None).get("epoch", self._epoch) == self._epoch:
            time.sleep(_PAUSE)
        self._finish({"stopped": self._stopped_text()}, seconds=0, timeout=1)
        return Outcome(STOPPED_CODE)

    def _has_ended_with_others(self, end: float) -> bool:
        """Wait while the processes run; return whether they exit with 0, and those of all others do."""
        ended = False
        while time.monotonic() < end:
            event = self._next_event(0.1)
            if isinstance(event, Standing) and event.all_ended:
                return True
            if ended or self._processes.running():
                continue
            if not self._processes.succeeded(self._ranks):
                return False
            ended = True
            self._heartbeat.end()
        return False
