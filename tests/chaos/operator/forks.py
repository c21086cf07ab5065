"""Starts the operator many times: a process that has imported it forks one for each start.

The imports take two seconds of CPU, which a campaign of hundreds of kills need not spend each time. Reads starts as
lines of JSON and answers each with the pid.
"""

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from fairlead.handlers.main import main as run_operator


def main() -> None:
    """Fork an operator for each line, until there are no more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # an operator that has ended leaves no zombie
    for line in sys.stdin:
        start = json.loads(line)
        if (pid := os.fork()) == 0:
            _become_operator(start)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _become_operator(start: dict[str, Any]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(start["environment"])
    log = os.open(Path(start["log"]), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, null), (1, log), (2, log)):
        os.dup2(source, target)
    try:
        run_operator()
    except Exception:  # noqa: BLE001 - the outermost frame of a process
        traceback.print_exc()
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
