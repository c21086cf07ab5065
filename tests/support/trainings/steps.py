"""The log of its steps that a training writes in this campaign. The trainings import it: it needs only Python."""

import json
import os
import time
from pathlib import Path
from typing import Literal

Kind = Literal["begin", "step", "commit", "end"]
FOLDER = "STEP_LOG_FOLDER"
"""The variable with the folder of the logs."""


class StepLog:
    """The log of one process."""

    def __init__(self) -> None:
        self._file = Path(os.environ[FOLDER], f"{os.environ['HOSTNAME']}-{os.getpid()}.jsonl").open("a")  # noqa: SIM115

    def write(self, kind: Kind, step: int, rank: int, size: int) -> None:
        """Write one line, at once: the process may be killed next."""
        line = {"time": time.time(), "kind": kind, "step": step, "rank": rank, "size": size}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
