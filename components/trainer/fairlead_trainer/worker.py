"""An agent's steps: check the image, fetch the dataset, register, run the processes, publish the model, report."""
# Longer than 250 lines: the steps share the state of one run, and read in the order in which they happen.

import logging
import os
import queue
import secrets
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fairlead_artifacts import ArtifactError, Cache, StoreUnavailable
from fairlead_contracts.environment import AgentEnvironment, ProcessEnvironment
from fairlead_contracts.termination import STOPPED_CODE, Failure, PublishedModel, Reason

from .backends import Backend
from .client import ChannelError, LauncherClient, RequestRejected, retry
from .data import TENSORBOARD, Dataset, fetch_dataset, publish_model
from .delays import Activity, Reporter
from .heartbeat import Heartbeat, find_parameters
from .images import find_problem
from .network import ReservedPort, find_interface
from .outcome import Failed, Outcome, Stopped
from .processes import Event, Exit, ProcessSet, Standing, StopOrder
from .settings import HEARTBEATS_PER_SECOND, Timing

log = logging.getLogger("agent")

_REGISTER_PAUSE = 0.3
_REPORT_SECONDS = 15.0
_SETTLE_SECONDS = 2.0
_CANNOT_START = 127
LEAVE_SECONDS = 20.0
"""How long a worker of an elastic job that is stopped waits for the next commit; pods have 30 s by default."""


class Worker:
    """One worker of one attempt."""

    def __init__(
        self, settings: AgentEnvironment, key: bytes, command: Sequence[str], folder: Path, backend: Backend
    ) -> None:
        self._settings = settings
        self._command = command
        self._folder = folder
        self._work_folder = folder / "work"
        """Where the processes write their progress and the model."""
        self._backend = backend
        self._timing = Timing.from_environment(settings, settings.workers)
        host, _, port = settings.launcher.rpartition(":")
        self._client = LauncherClient(host, int(port), key)
        self._identity = {
            "worker": settings.worker,
            "attempt": settings.attempt,
            "instance": secrets.token_hex(8),
        }
        self._work_folder.mkdir()
        self._progress_file = self._work_folder / "progress.json"
        self._port = ReservedPort()
        """Where the processes meet if this worker gets rank 0."""
        self._registered = False
        self._dataset: Dataset | None = None
        self._ranks: list[int] = []
        """The ranks with which the processes were started."""
        self._success: dict[str, Any] | None = None
        """The report of success, once it is known: a signal may interrupt its sending."""
        self._elastic = settings.max_workers is not None
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._processes = ProcessSet(self._events, self._timing.stop_grace)
        self._activity = Activity()
        self._heartbeat = Heartbeat(
            self._client, self._identity, self._timing, self._progress_file, self._events, self._activity
        )

    def run(self) -> Outcome:
        """Run the worker's part of the job and report the result."""
        return self._report_end_of(self._train)

    def _train(self) -> Outcome:
        place = self._prepare()
        self._heartbeat.start()
        self._start(place["slots"])
        self._wait_for_processes()
        return self._conclude()

    def _prepare(self) -> dict[str, Any]:
        """Do what the processes need; return this worker's place in the epoch with which it begins."""
        self._check_image()
        self._dataset = self._fetch_dataset()
        return self._register()

    def _conclude(self) -> Outcome:
        """Report that all processes have exited with 0; the holder of rank 0 publishes the model before.

        Raises RequestRejected if the launcher does not count this worker among the others any more.
        """
        if self._success is None:
            model = self._publish_model() if self._settings.model_uri is not None else None
            self._success = {"exitCodes": [0] * len(self._ranks), "model": model and model.to_json()}
        try:
            self._send_end(self._success, seconds=_REPORT_SECONDS)
        except ChannelError as error:
            log.warning("cannot report the success to the launcher: %s", error)
        return Outcome(0)

    def _report_end_of(self, work: Callable[[], Outcome]) -> Outcome:
        """Return the outcome of a part of this worker's life; report how it ends if it is cut short."""
        try:
            return work()
        except Failed as error:
            return self._report(error.failure)
        except (Stopped, ChannelError, RequestRejected) as error:
            log.warning("stopping: %s", error)
            self.stop()
            self._finish({"stopped": f"worker {self._settings.worker} stopped: {error}"}, seconds=1)
            return Outcome(STOPPED_CODE)

    def stop(self) -> None:
        """Stop the processes that are running."""
        self._processes.stop()

    def report_stop(self) -> Outcome:
        """Forward SIGTERM to the processes and report to the launcher, so that it need not wait for a timeout.

        A worker of an elastic job leaves after the next commit, if that comes in time. The outcome has a failure if the
        launcher does not know this worker yet: nobody else would notice its end.
        """
        if self._elastic and self._ranks:
            return self._report_end_of(self._leave)
        return self._abort()

    def _leave(self) -> Outcome:
        """Ask to leave the epoch, and wait for the processes as long as the pod may."""
        self._heartbeat.leave()
        end = time.monotonic() + LEAVE_SECONDS
        while self._processes.running() and time.monotonic() < end:
            self._next_event(0.1)
        if self._processes.running():
            return self._abort()
        if self._processes.succeeded(self._ranks):
            return self._conclude()  # the training has ended meanwhile
        self._finish({"stopped": self._stopped_text()}, seconds=0, timeout=1)
        return Outcome(STOPPED_CODE)

    def _abort(self) -> Outcome:
        self._processes.terminate()
        failure = self._failure("LostWorker", STOPPED_CODE, self._stopped_text())
        answer = self._finish({"failure": failure.to_json()}, seconds=0, timeout=1)
        return Outcome(STOPPED_CODE, None if answer or self._registered else failure)

    def _check_image(self) -> None:
        if problem := find_problem(self._settings.backend, self._command):
            raise Failed(self._failure("NotStarted", _CANNOT_START, problem))

    def _stopped_text(self) -> str:
        return f"worker {self._settings.worker} was stopped by a signal"

    def _fetch_dataset(self) -> Dataset | None:
        settings = self._settings
        if settings.dataset_uri is None:
            return None
        limit, cache = settings.dataset_cache_bytes, None
        if settings.dataset_cache is not None and limit is not None:
            cache = Cache(Path(settings.dataset_cache), limit)
        try:
            with Reporter(self._client, self._identity, self._activity):
                return fetch_dataset(
                    settings.dataset_uri, settings.dataset_digest, self._folder / "dataset", self._activity, cache
                )
        except StoreUnavailable as error:
            raise Failed(self._failure("StoreUnavailable", 1, str(error))) from None
        except (ArtifactError, OSError) as error:
            raise Failed(self._failure("InvalidDataset", 1, str(error))) from None

    def _register(self) -> dict[str, Any]:
        """Register and wait until this worker's processes may start: with its first epoch, or before; return them."""
        message = self._build_registration()

        def register() -> dict[str, Any]:
            try:
                return self._client.post("/v1/register", message)
            except RequestRejected as error:
                # The launcher of an earlier attempt may still answer at this address.
                raise ChannelError(str(error)) from None

        try:
            answer = retry(register, seconds=self._timing.registration)
        except ChannelError as error:
            raise Failed(self._failure("NotRegistered", 1, str(error))) from None
        self._registered = True
        while answer["state"] == "wait":
            time.sleep(max(_REGISTER_PAUSE, self._settings.workers / HEARTBEATS_PER_SECOND))
            answer = retry(register, seconds=self._timing.silence)
        if answer["state"] == "stop":
            raise Stopped("the run has ended")
        return answer

    def _build_registration(self) -> dict[str, Any]:
        settings = self._settings
        return {
            **self._identity,
            "slots": settings.slots,
            "address": settings.address,
            "interface": find_interface(settings.address),
            "port": self._port.renew(),
        }

    def _start(self, slots: list[dict[str, Any]]) -> None:
        """Start the processes. Those that wait for their ranks are numbered without gaps from worker to worker."""
        self._ranks = [slot["rank"] for slot in slots]
        log.info("starting ranks=%s: %s", self._ranks, shlex.join(self._command))
        for index, slot in enumerate(slots):
            rank = slot["rank"]
            model_folder = self._work_folder / f"model-{rank}"
            model_folder.mkdir()
            # any worker of an elastic job may hold rank 0 later; the launcher knows who does
            reports = rank == 0 or (self._elastic and index == 0)
            contract = ProcessEnvironment(
                dataset_folder=str(self._dataset.folder) if self._dataset else None,
                model_folder=str(model_folder),
                tensorboard_folder=str(model_folder / TENSORBOARD) if self._settings.model_uri is not None else None,
                progress_file=str(self._progress_file) if reports else None,
                parameters_file=str(find_parameters(self._progress_file)) if reports else None,
            )
            environment = os.environ | slot["environment"] | contract.to_environment()
            environment |= self._backend.extend(environment)
            environment.setdefault("PYTHONUNBUFFERED", "1")
            # Only the agent uses the channel; the user's processes do not need its key.
            environment.pop(AgentEnvironment.variable("key_file"), None)
            try:
                self._processes.start(rank, self._command, environment)
            except OSError as error:
                text = f"cannot start {self._command[0]!r}: {error.strerror}"
                raise Failed(self._failure("NotStarted", _CANNOT_START, text, rank=rank)) from None

    def _wait_for_processes(self) -> None:
        """Return when all exited 0. Of several failures, raise one that is not the consequence of another."""
        running, consequence, end = set(self._ranks), None, float("inf")
        while running and time.monotonic() < end:
            event = self._next_event(0.5)
            if not isinstance(event, Exit):
                continue
            running.discard(event.rank)
            if event.code == 0:
                continue
            failure = self._exit_failure(event)
            if not self._backend.is_consequence(failure.log_tail):
                raise Failed(failure)
            if consequence is None:
                consequence, end = failure, time.monotonic() + _SETTLE_SECONDS
        if consequence is not None:
            raise Failed(consequence)

    def _exit_failure(self, event: Exit) -> Failure:
        tail = self._processes.log_tail(event.rank)
        if event.code > 0:
            return self._failure("Exited", event.code, tail, rank=event.rank)
        return self._failure("Killed", 128 - event.code, tail, rank=event.rank, signal=-event.code)

    def _publish_model(self) -> PublishedModel | None:
        """Publish if this worker holds rank 0, once every other one has succeeded: a failed attempt has no model."""
        settings = self._settings
        if not self._elastic and self._ranks[0] != 0:
            return None
        self._heartbeat.end()
        while not (isinstance(event := self._next_event(None), Standing) and event.others_finished):
            if isinstance(event, Standing) and not event.first:
                return None
        try:
            # The version belongs to this job only: a model from an earlier attempt was never a final result.
            return publish_model(
                # of an elastic job's worker, which may not have begun with rank 0, the first process holds it
                self._work_folder / f"model-{self._ranks[0]}",
                str(settings.model_uri),
                settings.model_version,
                self._activity,
                dataset=self._dataset,
                replace=settings.attempt > 0,
            )
        except StoreUnavailable as error:
            raise Failed(self._failure("StoreUnavailable", 1, str(error), rank=0)) from None
        except (ArtifactError, OSError) as error:
            raise Failed(self._failure("InvalidModel", 1, str(error), rank=0)) from None

    def _next_event(self, timeout: float | None) -> Event | None:
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(event, StopOrder):
            raise Stopped(event.reason)
        return event

    def _report(self, failure: Failure) -> Outcome:
        if self._backend.is_consequence(failure.log_tail):
            self.stop()  # The launcher waits for the root cause before it answers.
        answer = self._finish({"failure": failure.to_json()}, seconds=self._report_timeout(failure))
        self.stop()
        if answer is not None and not answer["cause"]:
            log.warning("failed after another worker: %s", failure)
            return Outcome(STOPPED_CODE)
        return Outcome(failure.exit_code or 1, failure)

    def _report_timeout(self, failure: Failure) -> float:
        """Return the timeout of a report: before registration, the launcher may not have started yet."""
        early = failure.reason in ("InvalidDataset", "StoreUnavailable") and not self._registered
        return self._timing.registration if early else _REPORT_SECONDS

    def _finish(self, message: dict[str, Any], *, seconds: float, timeout: float = 20) -> dict[str, Any] | None:
        try:
            return self._send_end(message, seconds=seconds, timeout=timeout)
        except (ChannelError, RequestRejected) as error:
            log.warning("cannot report the result to the launcher: %s", error)
            return None

    def _send_end(self, message: dict[str, Any], *, seconds: float, timeout: float = 20) -> dict[str, Any]:
        body = {**self._identity, **message, **self._heartbeat.stop(timeout)}
        return retry(lambda: self._client.post("/v1/finish", body, timeout=timeout), seconds=seconds)

    def _failure(
        self, reason: Reason, code: int, tail: str, *, rank: int | None = None, signal: int | None = None
    ) -> Failure:
        return Failure(
            worker=self._settings.worker, rank=rank, exit_code=code, signal=signal, reason=reason, log_tail=tail
        )
