"""Measure a target in a process of its own: `python -m fairlead_edge.profiling TARGET THREADS FOLDER EXAMPLES`.

Prints a JSON object. The process does nothing else, so that its memory and its start are those of the target.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from fairlead_contracts.tensors import Array

from .targets import find_target
from .targets.base import Session

_WARM, _RUNS, _SECONDS = 10, 300, 20.0
"""Runs that are not counted; then at most so many, for at most so long."""
_MEMORY = "VmHWM:"


def main() -> int:
    """Measure and print."""
    name, threads, folder, examples = sys.argv[1:]
    target = find_target(name)
    files = {file: Path(folder, file).read_bytes() for file in target.files}
    values = np.load(examples, allow_pickle=False)
    begin = time.perf_counter()
    session = target.load(files, int(threads))
    _run(session, values[:1])
    first = time.perf_counter() - begin
    seconds = list(_time_runs(session, values))
    p50, p99 = np.percentile(seconds, [50, 99])
    result = {"p50": p50, "p99": p99, "start": first, "runs": len(seconds), "memory": _read_peak()}
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


def _time_runs(session: Session, values: Array) -> Iterator[float]:
    """Yield the seconds of each run of one example."""
    for place in range(_WARM):
        _run(session, values[place % len(values)][None])
    end = time.perf_counter() + _SECONDS
    for place in range(_RUNS):
        begin = time.perf_counter()
        _run(session, values[place % len(values)][None])
        yield time.perf_counter() - begin
        if time.perf_counter() > end:
            return


def _run(session: Session, value: Array) -> None:
    session.run({session.inputs[0].name: value})


def _read_peak() -> int:
    """Return the largest memory of this process and of those that it has started, in bytes."""
    children = Path("/proc/self/task").glob("*/children")
    processes = ["self", *(number for file in children for number in file.read_text().split())]
    return sum(_read_status(Path("/proc", process, "status")) for process in processes)


def _read_status(file: Path) -> int:
    lines = [line.split() for line in file.read_text().splitlines() if line.startswith(_MEMORY)]
    return int(lines[0][1]) * 1024 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
