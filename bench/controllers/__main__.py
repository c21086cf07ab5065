"""The operator compared with a naive kopf operator, the MPI Operator and a bare loop of the same POSTs.

Every round runs each contender once, on a new control plane with fake nodes. Figures are medians over the rounds;
ratios are computed within a round and printed with their spread.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fairlead.kube.client import KubeClient
from fairlead_cluster.base.home import CHECKOUT
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.controllers.contenders import ALL, THROTTLED, Contender, fairlead, naive, prepare
from bench.controllers.measure import (
    Bench,
    Observer,
    at_work,
    fake_nodes,
    measure_burst,
    measure_finished,
    measure_running,
    measure_trickle,
)
from bench.controllers.plane import Plane, started_plane
from bench.figures import Round, median, percentile, ratios

Result = TypeVar("Result")
BARE = "bare loop of POSTs"
_AT_ONCE = 32
_PLAIN_WIDTH = 140
"""Columns where the output is no terminal, so that a log holds the table unbroken."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--throttled-rounds", type=int, default=1,
        help="rounds of the MPI Operator with its defaults, whose rate limit takes minutes in each",
    )  # fmt: skip
    parser.add_argument("--jobs", type=int, default=200, help="jobs to create at once")
    parser.add_argument(
        "--trickle", type=int, default=60, metavar="SECONDS", help="create one job per second for this long"
    )
    parser.add_argument("--running", type=int, default=1000, metavar="JOBS", help="running jobs to hold")
    parser.add_argument("--finished", type=int, default=1000, metavar="JOBS", help="finished jobs to remember")
    arguments = parser.parse_args()
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PLAIN_WIDTH)
    prepare(console)
    bursts: dict[str, list[Round]] = {name: [] for name in (BARE, *(contender.name for contender in ALL))}
    for number in track(range(arguments.rounds), description="bursts", console=console):
        bursts[BARE].append(run_bare(arguments.jobs))
        for contender in ALL:
            if contender.name != THROTTLED or number < arguments.throttled_rounds:
                bursts[contender.name].append(run(contender, lambda bench: measure_burst(bench, arguments.jobs)))
    console.print(build_burst_table(bursts, arguments.jobs))
    trickles = {
        contender.name: run(contender, lambda bench: measure_trickle(bench, arguments.trickle))
        for contender in (fairlead(), naive())
    }
    console.print(build_trickle_table(trickles))
    running = run(fairlead(), lambda bench: measure_running(bench, arguments.running, 30.0))
    console.print(
        f"{arguments.running} running jobs: {running['core']:.2f} of a core, {running['reads']:.1f} reads/s,"
        f" {running['writes']:.1f} writes/s, {running['mib']:.0f} MiB"
    )
    finished = run(fairlead(), lambda bench: measure_finished(bench, arguments.finished), "Succeeded")
    console.print(f"{arguments.finished} finished jobs: {finished['mib']:.0f} MiB, {finished['peak']:.0f} MiB at most")


def run(contender: Contender, body: Callable[[Bench], Coroutine[Any, Any, Result]], phase: str = "Running") -> Result:
    """Run one measurement on a new control plane, whose pods are in one phase."""

    async def measure(plane: Plane) -> Result:
        async with at_work(plane, contender, phase) as bench:
            return await body(bench)

    with started_plane(contender.crds()) as plane:
        return asyncio.run(measure(plane))


def run_bare(jobs: int) -> Round:
    """Measure the bare loop."""
    with started_plane([]) as plane, fake_nodes(plane):
        kubeconfig = str(plane.controller_kubeconfig)
        command = [sys.executable, "-m", "bench.controllers.bare_loop", kubeconfig, "burst", str(jobs), str(_AT_ONCE)]
        with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            return asyncio.run(_watch_bare(plane, process, jobs))


async def _watch_bare(plane: Plane, process: "subprocess.Popen[bytes]", jobs: int) -> Round:
    observer = Observer()
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("expected pipes to the bare loop")
    async with KubeClient.from_kubeconfig(plane.kubectl.kubeconfig) as kube:
        watching = asyncio.create_task(observer.watch(kube))
        await asyncio.to_thread(process.stdout.readline)
        await asyncio.sleep(1)
        began = time.monotonic()
        process.stdin.write(b"\n")
        process.stdin.flush()
        done = await observer.wait("burst", jobs, 300)
        watching.cancel()
    return {"seconds": max(done.values()) - began}


def build_burst_table(bursts: dict[str, list[Round]], jobs: int) -> Table:
    """Return the table for many jobs at once."""
    rounds = len(bursts[BARE])
    table = Table(title=f"{jobs} two-worker jobs at once, {rounds} rounds", title_justify="left")
    for column in (
        "controller",
        "last pod, s",
        "to naive",
        "to bare loop",
        "reads/job",
        "writes/job",
        "CPU ms/job",
        "MiB",
    ):
        table.add_column(column, justify="left" if column == "controller" else "right")
    for name, figures in bursts.items():
        if not figures:
            continue
        cells = [f"{median(figures, 'seconds'):.1f}"]
        cells += [ratios(figures, bursts[peer], "seconds") for peer in (naive().name, BARE)]
        cells += [f"{median(figures, k):.1f}" if k in figures[0] else "" for k in ("reads", "writes", "cpu", "mib")]
        table.add_row(name, *cells)
    return table


def build_trickle_table(trickles: dict[str, list[float]]) -> Table:
    """Return the table for one job per second."""
    table = Table(title="one job per second: time from its creation to its last pod", title_justify="left")
    for column in ("controller", "jobs", "p50, ms", "p99, ms"):
        table.add_column(column, justify="left" if column == "controller" else "right")
    for name, latencies in trickles.items():
        p50, p99 = (f"{percentile(latencies, percent):.0f}" for percent in (50, 99))
        table.add_row(name, str(len(latencies)), p50, p99)
    return table


if __name__ == "__main__":
    main()
