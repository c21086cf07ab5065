"""The memory of processes: shared pages are divided among those that share them."""

from collections.abc import Iterable
from pathlib import Path


def measure_memory(pids: Iterable[int]) -> float:
    """Return the proportional set size of processes together, in MiB."""
    kilobytes = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                kilobytes += int(line.split()[1])
    return kilobytes / 1024


def list_family(pid: int) -> list[int]:
    """Return a process and those below it."""
    found = [pid]
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            found += list_family(int(child))
    return found
