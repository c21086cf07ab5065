"""The launcher pod's program: wait for the workers, monitor them, report the result."""

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

from .backends import BACKENDS, Launch
from .coordinator import Coordinator
from .run import Assigned, Run
from .server import LauncherServer
from .settings import SettingsError, Timing, read_key

log = logging.getLogger("launcher")

_TICK = 0.2
_LOG_SECONDS = 30.0


class _Terminated(BaseException):
    """The launcher received SIGTERM or SIGINT."""


def main() -> int:
    """Run the launcher; return 0 if every worker succeeded, 1 if one failed, 143 if stopped."""
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
        log.info("received a stop signal")
        code, report = STOPPED_CODE, StoppedReport()
    write_report(Path(settings.termination_log), report, settings.termination_bytes)
    return code


def _terminate(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise _Terminated


def _launch(settings: LauncherEnvironment, key: bytes) -> tuple[int, Report]:
    backend, timing = BACKENDS[settings.backend], Timing.from_environment(settings, settings.workers)
    coordinator = Coordinator(Run(settings.workers, settings.slots, settings.attempt, backend, timing))
    server = LauncherServer(settings.bind_address, LAUNCHER_PORT, coordinator, key)
    log.info("job=%s attempt=%d waiting for workers=%d", settings.job, settings.attempt, settings.workers)
    rendezvous = backend.begin(Launch(settings.job, settings.attempt, settings.bind_address, settings.address))
    started, logged = False, time.monotonic()
    try:
        while not coordinator.state.ended:
            if order := coordinator.decide():
                slots = rendezvous.assign(order.members, order.membership.epoch)
                started = True
                coordinator.assigned(Assigned(order.membership, slots))
                log.info("all workers registered: %s", " ".join(f"{m.worker}={m.address}" for m in order.members))
            if not started and time.monotonic() - logged > _LOG_SECONDS:
                logged = time.monotonic()
                log.info("still waiting for workers %s", coordinator.missing())
            if not coordinator.state.ended:
                coordinator.wait(_TICK)
        _wait_for_agents(coordinator, timing.stop_grace + 5)
    finally:
        coordinator.close()
        server.stop()
        rendezvous.stop()
    state = coordinator.state
    if state.cause is not None:
        log.error("failed: %s", state.cause)
        return 1, FailureReport(failure=state.cause)
    log.info("succeeded: model=%s", state.model.uri if state.model else None)
    return 0, SuccessReport(model=state.model, progress=state.progress)


def _wait_for_agents(coordinator: Coordinator, seconds: float) -> None:
    """Wait until the other agents have received the result and stopped their processes."""
    end = time.monotonic() + seconds
    while not coordinator.quiet() and time.monotonic() < end:
        coordinator.wait(_TICK)


if __name__ == "__main__":
    sys.exit(main())
