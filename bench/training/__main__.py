"""Images per second of a training of two ranks, with one thread each, under fairlead and under its peers.

Every round runs the same plain script under each of them, in turns: with Horovod by fairlead and by horovodrun, with
DistributedDataParallel by fairlead and by torchrun; and as limits one rank alone, and two that are not connected.
Printed are the medians over the rounds, and the ratios within them with their spread.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bench.fairlead_job import start_job
from bench.figures import Round, median, ratios

Processes = list["subprocess.Popen[bytes]"]
_BIN = Path(sys.executable).parent
_SCRIPT = [sys.executable, str(Path(__file__).with_name("train.py"))]
_SECONDS = 600.0
PAIRS = (("fairlead, Horovod", "horovodrun"), ("fairlead, DDP", "torchrun"))
ONE, APART = "one rank", "two ranks, not connected"
NAMES = (ONE, APART, *(name for pair in PAIRS for name in pair))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.training", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=200, help="of 32 images a rank, after 10 to warm up")
    options = parser.parse_args()
    results: dict[str, list[Round]] = {name: [] for name in NAMES}
    for number in range(options.rounds):
        # in turns forwards and backwards, so that neither of a pair always runs after the other
        for name in NAMES if number % 2 == 0 else NAMES[::-1]:
            rate = measure(name, options.steps)
            results[name].append({"rate": rate})
            sys.stderr.write(f"round {number + 1} of {options.rounds}: {name} {rate:.0f} images/s\n")
    for name in NAMES:
        of_two = ratios(results[name], [{"rate": 2 * each["rate"]} for each in results[ONE]], "rate")
        print(f"{name}: {median(results[name], 'rate'):.0f} images/s, {of_two} of twice one rank")
    for ours, peer in PAIRS:
        print(f"{ours}: {ratios(results[ours], results[peer], 'rate')} of {peer}")
    return 0


def measure(name: str, steps: int) -> float:
    """Run the script once under a contender; return the images per second of all ranks together."""
    ranks = 1 if name == ONE else 2
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as path:
        folder = Path(path)
        variables = {"RESULTS": path, "STEPS": str(steps), "OMP_NUM_THREADS": "1"}
        processes = _start(name, folder, ranks, variables)
        try:
            for process in processes:
                if code := process.wait(_SECONDS):
                    logs = "\n".join(log.read_text()[-2000:] for log in sorted(folder.glob("*.log")))
                    raise RuntimeError(f"{name}: exited with {code}\n{logs}")
        finally:
            for process in processes:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        return sum(float(json.loads((folder / f"rank-{rank}.json").read_text())) for rank in range(ranks))


def _start(name: str, folder: Path, ranks: int, variables: Mapping[str, str]) -> Processes:
    horovod, ddp = {**variables, "MODE": "horovod"}, {**variables, "MODE": "ddp"}
    if name == "fairlead, Horovod":
        return start_job(folder, "horovod", ranks, _SCRIPT, horovod)
    if name == "fairlead, DDP":
        return start_job(folder, "torchrun", ranks, _SCRIPT, ddp)
    if name == "horovodrun":
        return [_spawn(folder, name, horovod, str(_BIN / name), "--gloo", "-np", "2", "-H", "localhost:2", *_SCRIPT)]
    if name == "torchrun":
        options = ["--standalone", "--nproc-per-node=2"]
        return [_spawn(folder, name, ddp, str(_BIN / name), *options, _SCRIPT[1])]
    apart = {**variables, "MODE": "none", "WORLD_SIZE": str(ranks)}
    return [_spawn(folder, f"rank-{rank}", {**apart, "RANK": str(rank)}, *_SCRIPT) for rank in range(ranks)]


def _spawn(folder: Path, name: str, environment: Mapping[str, str], *command: str) -> "subprocess.Popen[bytes]":
    with (folder / f"{name}.log").open("wb") as log:
        variables = os.environ | dict(environment)
        return subprocess.Popen(command, env=variables, stdout=log, stderr=log, start_new_session=True)


if __name__ == "__main__":
    sys.exit(main())
