"""The worker pod's program: register with the launcher, run the user's command once per slot, report the result.

With `--check` it only looks whether it could.
"""

import logging
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from fairlead_contracts.environment import AgentEnvironment
from fairlead_contracts.errors import ContractError
from fairlead_contracts.termination import STOPPED_CODE, FailureReport, Report, StoppedReport, write_report

from . import check
from .backends import BACKENDS
from .epochs import EpochWorker
from .outcome import Outcome
from .settings import SettingsError, read_key
from .worker import Worker

log = logging.getLogger("agent")


class _Terminated(BaseException):
    """The agent received SIGTERM or SIGINT."""


def main() -> int:
    """Run the worker; return the exit code of the failed process, 127 if it cannot start, 143 if stopped."""
    if sys.argv[1:2] == ["--check"]:
        return check.main(sys.argv[2:])
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO, stream=sys.stderr)
    try:
        command = _read_command(sys.argv[1:])
        settings = AgentEnvironment.from_environment(os.environ)
        key = read_key(Path(settings.key_file))
        if settings.backend not in BACKENDS:
            known = ", ".join(BACKENDS)
            raise SettingsError(f"FAIRLEAD_BACKEND: got {settings.backend!r}, expected one of {known}")
    except (ContractError, SettingsError) as error:
        log.error("%s", error)
        return 2
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGINT, _terminate)
    outcome = _run(settings, key, command)
    report = _build_report(outcome)
    if report is not None:
        write_report(Path(settings.termination_log), report, settings.termination_bytes)
    return outcome.code


def _read_command(arguments: list[str]) -> list[str]:
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    if not command:
        raise SettingsError("command: got none, expected fairlead-agent -- command [argument …]")
    return command


def _terminate(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise _Terminated


def _run(settings: AgentEnvironment, key: bytes, command: list[str]) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="fairlead-", ignore_cleanup_errors=True) as folder:
        backend = BACKENDS[settings.backend]
        kind = EpochWorker if settings.max_workers is not None and backend.restarts else Worker
        worker = kind(settings, key, command, Path(folder), backend)
        try:
            return worker.run()
        except _Terminated:
            log.info("received a stop signal")
            return worker.report_stop()
        finally:
            worker.stop()


def _build_report(outcome: Outcome) -> Report | None:
    if outcome.failure is not None:
        log.error("failed: %s", outcome.failure)
        return FailureReport(failure=outcome.failure)
    return StoppedReport() if outcome.code == STOPPED_CODE else None


if __name__ == "__main__":
    sys.exit(main())
