"""The record of a job in MLflow, kept by the launcher in a thread of its own: the training never waits for it.

The thread looks at the run's progress, keeps a bounded number of points, and sends them in batches. A server that does
not answer costs points, not the training; what is missing is said in the launcher's status.
"""

import logging
import posixpath
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import islice
from types import MappingProxyType

from fairlead_contracts.environment import LauncherEnvironment
from fairlead_contracts.tracking import MAX_PROBLEM, RUN_ID, Tracked

from .mlflow import MAX_METRICS, Metric, Mlflow, MlflowError, StoredRun
from .state import State

log = logging.getLogger("tracking")

_LOOK_SECONDS, _SEND_SECONDS, _LONGEST_PAUSE = 1.0, 5.0, 60.0
_STOP_SECONDS = 5.0
"""How long the end of a job may wait for its record."""
_MAX_POINTS = 20_000
"""Metrics that are kept while they cannot be sent; then the oldest ones are dropped."""
_UID_TAG = "fairlead.uid"
_NO_KEY = re.compile(r"[^\w\-./: ]", re.ASCII)
"""What names of metrics cannot have in MLflow."""


class Tracker:
    """Records one job: all its attempts are one run, which is found by the job's uid."""

    def __init__(self, server: Mlflow, settings: LauncherEnvironment) -> None:
        self._server, self._settings = server, settings
        self._points: deque[Metric] = deque(maxlen=_MAX_POINTS)
        self._dropped = False
        self._seen: int | None = None
        self._run: StoredRun | None = None
        self._own_recorded = False
        """Whether the script's parameters are recorded."""
        self._problem: str | None = None
        self._ending = threading.Event()
        self._due, self._pause = 0.0, _SEND_SECONDS
        self._look: Callable[[], State] | None = None
        self._thread = threading.Thread(target=self._track, name="tracking", daemon=True)

    @property
    def tracked(self) -> Tracked:
        """Return the run's ID, and why its record lacks something."""
        return Tracked(run_id=self._run.id if self._run else None, problem=self._problem)

    def start(self, look: Callable[[], State]) -> None:
        """Start recording what `look` returns."""
        self._look = look
        self._thread.start()

    def stop(self) -> None:
        """Send what is left and the result, for a bounded time."""
        self._ending.set()
        self._thread.join(_STOP_SECONDS)
        if self._thread.is_alive() or self._problem:
            log.warning("the record in MLflow is not complete: %s", self._problem or "the server is slow")

    def _track(self) -> None:
        while not self._ending.wait(_LOOK_SECONDS):
            self._note_progress()
            if time.monotonic() >= self._due:
                self._try(self._send)
        self._note_progress()
        self._try(self._conclude)

    def _try(self, call: Callable[[], None]) -> None:
        try:
            call()
        except MlflowError as error:
            problem = str(error)[:MAX_PROBLEM]
            if problem != self._problem:
                log.warning("the record in MLflow lags: %s", problem)
            self._problem, self._pause = problem, min(2 * self._pause, _LONGEST_PAUSE)
        else:
            if self._problem:
                log.info("the record in MLflow goes on%s", "; it lacks some points" if self._dropped else "")
            self._problem, self._pause = None, _SEND_SECONDS
        self._due = time.monotonic() + self._pause

    def _note_progress(self) -> None:
        """Keep the values of a step that has not been seen."""
        progress = self._state().progress
        if progress is None or progress.step == self._seen:
            return
        self._seen, now = progress.step, _now()
        values = dict(progress.metrics)
        if progress.samples_per_second is not None:
            values["samples_per_second"] = progress.samples_per_second
        if progress.epoch is not None:
            values["epoch"] = float(progress.epoch)
        self._dropped |= len(self._points) + len(values) > _MAX_POINTS
        self._points.extend(Metric(_clean(key), value, now, progress.step) for key, value in values.items())

    def _send(self) -> None:
        """Send what is kept; it is dropped once the server has it."""
        run = self._begin()
        self._record_parameters(run)
        for batch in self._batches():
            self._log(run, metrics=batch)
            for _ in batch:
                self._points.popleft()

    def _record_parameters(self, run: StoredRun) -> None:
        """Record what the script has said of its parameters, once; the job's own ones have their names already."""
        if self._own_recorded or not (found := self._state().parameters):
            return
        known = run.params | _parameters(self._settings).keys()
        named = {_clean(name): value for name, value in found.items()}
        if params := {name: value for name, value in named.items() if name not in known}:
            self._log(run, params=params)
        self._own_recorded = True

    def _log(
        self, run: StoredRun, metrics: Collection[Metric] = (), params: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Log values; those that the server rejects are dropped, as it would never accept them."""
        try:
            self._server.log(run.id, metrics, params)
        except MlflowError as error:
            if error.code != "INVALID_PARAMETER_VALUE":
                raise
            self._dropped = True
            log.warning("MLflow rejects %d values, which are dropped: %s", len(metrics) + len(params), error)

    def _batches(self) -> Iterator[list[Metric]]:
        while batch := list(islice(self._points, MAX_METRICS)):
            yield batch

    def _conclude(self) -> None:
        self._send()
        state, run = self._state(), self._begin()
        if state.model is not None:
            tags = {"fairlead.model.uri": state.model.uri, "fairlead.model.digest": state.model.digest}
            self._server.log(run.id, tags=tags)
        # a launcher that is stopped fails without a cause: the job is suspended, restarted or deleted
        status = "FINISHED" if state.phase == "Succeeded" else "FAILED" if state.cause else "KILLED"
        self._server.set_status(run.id, status, _now())

    def _begin(self) -> StoredRun:
        """Return the run; find or create it first."""
        if self._run is not None:
            return self._run
        settings, uid = self._settings, str(self._settings.uid)
        experiment = self._server.find_experiment(str(settings.mlflow_experiment))
        run = self._server.find_run(experiment, _UID_TAG, uid)
        if run is None:
            tags = {_UID_TAG: uid, "fairlead.namespace": str(settings.namespace), "fairlead.job": settings.job}
            run = self._server.create_run(experiment, settings.job, tags, _now())
        if not re.fullmatch(RUN_ID, run.id):
            raise MlflowError("the server returned a run whose ID is not 32 hexadecimal digits")
        # parameters never change: those of the first attempt stay
        params = {key: value for key, value in _parameters(settings).items() if key not in run.params}
        self._server.log(run.id, params=params, tags={"fairlead.attempt": str(settings.attempt)})
        self._server.set_status(run.id, "RUNNING")
        self._run = run
        log.info("run=%s records this job", run.id)
        return run

    def _state(self) -> State:
        assert self._look is not None, "start() has set it"
        return self._look()


def build_tracker(settings: LauncherEnvironment) -> Tracker | None:
    """Return the tracker of a job that names a tracking server."""
    if settings.mlflow_uri is None or settings.mlflow_experiment is None or settings.uid is None:
        return None
    return Tracker(Mlflow(settings.mlflow_uri), settings)


def _parameters(settings: LauncherEnvironment) -> Mapping[str, str]:
    values = {
        "workers": settings.workers,
        "slots": settings.slots,
        "launcher": settings.backend,
        "min_workers": settings.min_workers,
        "max_workers": settings.max_workers,
        "dataset.uri": settings.dataset_uri,
        "dataset.digest": settings.dataset_digest,
    }
    return {key: str(value) for key, value in values.items() if value is not None}


def _clean(name: str) -> str:
    """Return a name of a metric that MLflow accepts: it may use names as paths, which must not lead elsewhere."""
    key = _NO_KEY.sub("_", name)
    if key.startswith(("/", ".")) or posixpath.normpath(key) != key:
        key = key.replace("/", "_").strip(".")
    return key or "_"


def _now() -> int:
    return time.time_ns() // 1_000_000
