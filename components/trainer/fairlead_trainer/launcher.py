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

from .backends import BACKENDS, Launch, Rendezvous
from .coordinator import Coordinator
from .events import Announce, Assigned, Order, Prepare, Prepared
from .membership import Bounds, MemberId
from .server import LauncherServer
from .settings import SettingsError, Timing, read_key
from .state import Run
from .tracking import build_tracker

log = logging.getLogger("launcher")

_TICK = 0.2
_LOG_SECONDS = 30.0
_SETTLE_SECONDS = 5.0
"""How long an elastic job waits for further workers before an epoch begins with fewer than it could have."""


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
        build_run(settings)
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
    # Longer than 40 lines: what is started here is stopped here, in one `finally`.
    run, tracker = build_run(settings), build_tracker(settings)
    coordinator = Coordinator(run, tracked=lambda: tracker.tracked if tracker else None)
    server = LauncherServer(settings.bind_address, LAUNCHER_PORT, coordinator, key)
    log.info("job=%s attempt=%d waiting for workers=%d", settings.job, settings.attempt, settings.workers)
    rendezvous = run.backend.begin(
        Launch(
            settings.job,
            settings.attempt,
            settings.bind_address,
            settings.address,
            run.elastic,
            coordinator.arrived,
            coordinator.gone,
        )
    )
    if tracker:
        tracker.start(lambda: coordinator.state)
    started, logged = False, time.monotonic()
    try:
        while not coordinator.state.ended:
            rendezvous.look()
            while order := coordinator.decide():
                started = started or not isinstance(order, Prepare)
                _obey(order, rendezvous, coordinator)
            if not started and time.monotonic() - logged > _LOG_SECONDS:
                logged = time.monotonic()
                log.info("still waiting for workers %s", coordinator.missing())
            if not coordinator.state.ended:
                coordinator.wait(_TICK)
        _wait_for_agents(coordinator, run.timing.stop_grace + 5)
    finally:
        coordinator.close()
        server.stop()
        rendezvous.stop()
        if tracker:
            tracker.stop()
    state = coordinator.state
    if state.cause is not None:
        log.error("failed: %s", state.cause)
        return 1, FailureReport(failure=state.cause)
    log.info("succeeded: model=%s", state.model.uri if state.model else None)
    return 0, SuccessReport(model=state.model, progress=state.progress, tracking=tracker.tracked if tracker else None)


def build_run(settings: LauncherEnvironment) -> Run:
    """Return what the environment says of a run; raise SettingsError for contradictions."""
    least, most = settings.min_workers or settings.workers, settings.max_workers or settings.workers
    timing = Timing.from_environment(settings, most)
    if not least <= settings.workers <= most:
        name = LauncherEnvironment.variable("workers")
        raise SettingsError(f"{name}: got {settings.workers}, expected at least {least} and at most {most}")
    bounds = Bounds(least, most, _SETTLE_SECONDS, settings.host_cooldown_seconds or 0.0, timing.registration)
    return Run(settings.workers, settings.slots, settings.attempt, BACKENDS[settings.backend], timing, bounds)


def _obey(order: Order, rendezvous: Rendezvous, coordinator: Coordinator) -> None:
    if isinstance(order, Prepare):
        id_ = MemberId(order.member.worker, order.member.instance)
        coordinator.answer(Prepared(id_, rendezvous.prepare(order.member)))
        return
    names = " ".join(f"{member.worker}={member.address}" for member in order.members)
    if isinstance(order, Announce):
        if not order.again:
            log.info("another epoch waits for the next commit of workers %s", names)
        rendezvous.announce(order.members, order.since)
        return
    slots = rendezvous.assign(order.members, order.membership.epoch, order.held)
    coordinator.answer(Assigned(order.membership, slots))
    log.info("epoch=%d begins with workers %s", order.membership.epoch, names)


def _wait_for_agents(coordinator: Coordinator, seconds: float) -> None:
    """Wait until the other agents have received the result and stopped their processes."""
    end = time.monotonic() + seconds
    while not coordinator.quiet() and time.monotonic() < end:
        coordinator.wait(_TICK)


if __name__ == "__main__":
    sys.exit(main())
