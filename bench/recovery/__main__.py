"""The time from the loss of a worker's process to the next committed step, compared with horovodrun and torchrun.

Every round runs an elastic training of two processes under each contender, with its defaults. At a known step the
process with rank 1 is killed. Printed are the medians over the rounds, and the ratios within them with their spread.
"""

import argparse
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from bench.figures import Round, median, ratios
from bench.recovery.contenders import CONTENDERS, PEERS, Contender
from tests.support.trainings.steps import FOLDER, Entry, read_entries

_COMMIT_STEPS, _KILLED_AT, _PAUSE = 10, 25, 0.02
_START_SECONDS = 120.0


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.recovery", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--longest", type=float, default=120.0, help="seconds after which a recovery counts as failed")
    known = [contender.name for contender in CONTENDERS]
    parser.add_argument("--contender", choices=known, action="append", help="(default: all)")
    options = parser.parse_args()
    chosen = [contender for contender in CONTENDERS if options.contender is None or contender.name in options.contender]
    results: dict[str, list[Round]] = {contender.name: [] for contender in chosen}
    for number in range(options.rounds):
        for contender in chosen:
            seconds = measure(contender, options.longest)
            results[contender.name].append({"seconds": seconds})
            sys.stderr.write(f"round {number + 1} of {options.rounds}: {contender.name} {seconds:.2f} s\n")
    print(f"seconds from a kill after step {_KILLED_AT} to the next commit, each {_COMMIT_STEPS} steps of {_PAUSE} s")
    peers = [name for name in PEERS if name in results]
    best = min(peers, key=lambda name: median(results[name], "seconds"), default=None)
    for name, rounds in results.items():
        all_ = ", ".join(f"{one['seconds']:.2f}" for one in sorted(rounds, key=lambda one: one["seconds"]))
        ratio = f"; to {best} {ratios(rounds, results[best], 'seconds')}" if best else ""
        print(f"{name}: {median(rounds, 'seconds'):.2f} s ({all_}){ratio}")
    return 0


def measure(contender: Contender, longest: float) -> float:
    """Run a training, kill its rank 1 and return the seconds until the next commit, infinity if there is none."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as path:
        folder = Path(path)
        (folder / "steps").mkdir()
        environment = {
            FOLDER: str(folder / "steps"),
            "STEPS": "1000000",
            "COMMIT_STEPS": str(_COMMIT_STEPS),
            "PAUSE": str(_PAUSE),
            "OMP_NUM_THREADS": "1",
            "FAIRLEAD_CHECKPOINT_URI": (folder / "checkpoints").as_uri(),
            "FAIRLEAD_CHECKPOINT_STEPS": str(_COMMIT_STEPS),
        }
        processes = contender.start(folder, environment)
        try:
            victim = _await(folder, lambda entries: _find(entries, "step", _KILLED_AT, 0.0, rank=1), _START_SECONDS)
            killed = time.time()
            os.kill(victim.pid, signal.SIGKILL)
            goal = victim.step // _COMMIT_STEPS * _COMMIT_STEPS + 1
            try:
                found = _await(folder, lambda entries: _find(entries, "commit", goal, killed, rank=0), longest)
            except TimeoutError:
                return math.inf
            return found.time - killed
        finally:
            _end(processes, folder)


def _find(entries: Iterable[Entry], kind: str, step: int, since: float, rank: int) -> Entry | None:
    """Return the first entry of a kind and rank after a time, at this step or a later one."""
    found = (each for each in entries if each.kind == kind and each.rank == rank)
    return next((each for each in found if each.step >= step and each.time >= since), None)


def _await(folder: Path, find: Callable[[list[Entry]], Entry | None], seconds: float) -> Entry:
    deadline = time.monotonic() + seconds
    while (found := find(read_entries(folder / "steps"))) is None:
        if time.monotonic() > deadline:
            logs = "\n".join(f"== {log.name}\n{log.read_text()[-3000:]}" for log in sorted(folder.glob("*.log")))
            raise TimeoutError(f"not within {seconds:g} s; logs:\n{logs}")
        time.sleep(0.01)
    return found


def _end(processes: "Iterable[subprocess.Popen[bytes]]", folder: Path) -> None:
    """Kill all processes: those that were started, and the trainings, which lead groups of their own."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    # also those that have logged nothing yet
    for pid in {int(log.stem.rpartition("-")[2]) for log in (folder / "steps").glob("*.jsonl")}:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
