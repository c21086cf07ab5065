"""The launcher pod's program: bring the workers together, follow them, say how it ended."""

import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

from fairlead_contracts.environment import LAUNCHER_PORT, LauncherEnvironment
from fairlead_contracts.errors import ContractError
from fairlead_contracts.termination import (
    STOPPED_CODE,
    FailureReport,
    Report,
    StoppedReport,
    SuccessReport,
    write_report,
)

from .backends import BACKENDS, Rendezvous
from .coordinator import Coordinator, Run
from .server import LauncherServer
from .settings import SettingsError, Timing, read_key

log = logging.getLogger("launcher")

_TICK = 0.2


class _Terminated(BaseException):
    """The pod is told to stop."""


def main() -> int:
    """Run to the end; return 0 when every worker succeeded, 1 when one failed, 143 when told to stop."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO, stream=sys.stderr)
    try:
        settings = LauncherEnvironment.from_environment(os.environ)
        key = read_key(Path(settings.key_file))
        if settings.backend not in BACKENDS:
            known = ", ".join(BACKENDS)
            raise SettingsError(f"FAIRLEAD_BACKEND: got {settings.backend!r}, expected one of {known}")
    except (ContractError, SettingsError) as error:
        log.error("%s", error)
        return 2
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGINT, _terminate)
    try:
        code, report = _launch(settings, key)
    except _Terminated:
        log.info("told to stop")
        code, report = STOPPED_CODE, StoppedReport()
    write_report(Path(settings.termination_log), report, settings.termination_bytes)
    return code


def _terminate(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise _Terminated


def _launch(settings: LauncherEnvironment, key: bytes) -> tuple[int, Report]:
    backend, timing = BACKENDS[settings.backend], Timing.from_environment(settings)
    coordinator = Coordinator(Run(settings.workers, settings.slots, settings.attempt), backend, timing)
    server = LauncherServer(settings.bind_address, LAUNCHER_PORT, coordinator, key)
    log.info("job=%s attempt=%d waits for workers=%d", settings.job, settings.attempt, settings.workers)
    rendezvous: Rendezvous | None = None
    try:
        if _wait_for_workers(coordinator):
            members = coordinator.members() or []
            rendezvous = backend.start(members, settings.bind_address, settings.address)
            coordinator.start(rendezvous.slots)
            log.info("all workers are there: %s", " ".join(f"{m.worker}={m.address}" for m in members))
            while not coordinator.decide():
                coordinator.wait(_TICK)
        _let_agents_stop(coordinator, timing.stop_grace + 5)
    finally:
        coordinator.close()
        server.stop()
        if rendezvous is not None:
            rendezvous.stop()
    if coordinator.cause is not None:
        log.error("failed: %s", coordinator.cause)
        return 1, FailureReport(failure=coordinator.cause)
    log.info("succeeded: model=%s", coordinator.model.uri if coordinator.model else None)
    return 0, SuccessReport(model=coordinator.model, progress=coordinator.progress)


def _wait_for_workers(coordinator: Coordinator) -> bool:
    """Wait as long as it takes (the operator sets deadlines); return False when a worker failed before all came."""
    told = time.monotonic()
    while coordinator.members() is None:
        if coordinator.decide():
            return False
        coordinator.wait(_TICK)
        if time.monotonic() - told > 30:
            told = time.monotonic()
            log.info("still waiting for workers %s", coordinator.missing())
    return not coordinator.decide()


def _let_agents_stop(coordinator: Coordinator, seconds: float) -> None:
    """Give the other agents the time to hear the verdict and to stop their processes."""
    end = time.monotonic() + seconds
    while not coordinator.quiet() and time.monotonic() < end:
        coordinator.wait(_TICK)


if __name__ == "__main__":
    sys.exit(main())
