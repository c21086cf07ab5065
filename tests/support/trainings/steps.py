"""The log of its steps that a training writes, and how it is read. Trainings import it: it needs only Python."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["begin", "step", "commit", "end"]
FOLDER = "STEP_LOG_FOLDER"
"""The variable with the folder of the logs."""
ELASTIC_HOROVOD, ELASTIC_TORCHRUN = (Path(__file__).with_name(f"elastic_{name}.py") for name in ("horovod", "torchrun"))
"""The trainings."""


class StepLog:
    """The log of one process."""

    def __init__(self) -> None:
        host = os.environ.get("HOSTNAME", "host")
        self._file = Path(os.environ[FOLDER], f"{host}-{os.getpid()}.jsonl").open("a")  # noqa: SIM115

    def write(self, kind: Kind, step: int, rank: int, size: int) -> None:
        """Write one line, at once: the process may be killed next."""
        line = {"time": time.time(), "kind": kind, "step": step, "rank": rank, "size": size}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


@dataclass(frozen=True)
class Entry:
    """One line of one process."""

    time: float
    kind: Kind
    step: int
    rank: int
    size: int
    process: str
    """The host and the process ID."""

    @property
    def pid(self) -> int:
        """Return the process ID."""
        return int(self.process.rpartition("-")[2])


def read_entries(folder: Path) -> list[Entry]:
    """Return all lines of all processes in the order of their times."""
    entries = []
    for file in folder.glob("*.jsonl"):
        # a line that is being written has no end yet
        lines = [line for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
        entries += [Entry(process=file.stem, **json.loads(line)) for line in lines]
    return sorted(entries, key=lambda entry: entry.time)
