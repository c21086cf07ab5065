"""Requests per second of a graph server with one and with several model processes, in turns, and their CPU time.

The server has all cores but the last, where the load is, if that are as many as it has processes; else they share all.
Each round measures both; figures are medians over the rounds, and ratios are computed within a round. The busiest
process limits what a server with a core for each of them answers: that is computed from their CPU time for a request,
which other programs on the machine disturb less than the rate.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.figures import Round, median, ratios
from bench.serving import load
from bench.serving.contenders import Contender, fairlead_command, running
from bench.serving.model import NAME, binary_request, json_request, write_model

_PLAIN_WIDTH = 140
_ROWS = 64
REQUESTS = {
    "one row, JSON": json_request(),
    f"{_ROWS} rows, JSON": json_request(_ROWS),
    f"{_ROWS} rows, bytes": binary_request(_ROWS),
}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.serving.processes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PLAIN_WIDTH)
    cores = os.cpu_count() or 1
    alone = cores > options.processes
    server = f"0-{cores - 2}" if alone else f"0-{cores - 1}"
    if alone:
        os.sched_setaffinity(0, {cores - 1})
    rows: dict[tuple[str, int], list[Round]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        model = write_model(folder)
        for number in track(range(options.rounds), description="rounds", console=console):
            for count in (1, options.processes):
                contender = build_contender(model, count, server)
                with running(contender, folder / f"{count}-{number}", model) as (port, pid):
                    for request in REQUESTS:
                        rows.setdefault((request, count), []).append(measure(port, pid, REQUESTS[request], options))
    console.print(build_table(rows, options.processes))
    console.print(f"server on the cores {server} of {cores}, load of the machine {os.getloadavg()[0]:.1f}")
    return 0


def build_contender(model: Path, processes: int, cores: str) -> Contender:
    """Return a server with some model processes on some cores."""
    node = {"name": NAME, "type": "MODEL", "modelUri": model.parent.as_uri(), "children": []}
    command = fairlead_command(NAME, node, {"FAIRLEAD_MODEL_PROCESSES": str(processes)})
    return Contender(f"{processes} processes", command, b"", "/v2/health/ready", cores)


def measure(port: int, pid: int, request: bytes, options: argparse.Namespace) -> Round:
    """Return the rate at saturation, the microseconds of CPU for a request, and the limit that follows from these."""
    load.run(port, request, options.connections, 0.5, None, sleep=True)
    before = read_seconds(pid)
    answers = len(load.run(port, request, options.connections, options.seconds, None, sleep=True))
    serving, *models = ((after - start) / answers for after, start in zip(read_seconds(pid), before, strict=True))
    return {
        "rate": answers / options.seconds,
        "serving": serving * 1e6,
        "models": sum(models) * 1e6,
        "limit": 1 / max(serving, *models),
    }


def read_seconds(pid: int) -> list[float]:
    """Return the CPU time of a process and of each of its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    fields = (Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split() for each in (pid, *children))
    return [(int(each[11]) + int(each[12])) / os.sysconf("SC_CLK_TCK") for each in fields]


def build_table(rows: dict[tuple[str, int], list[Round]], processes: int) -> Table:
    """Build the table: requests per second, microseconds of CPU, and the limit."""
    table = Table(title=f"1 and {processes} model processes", title_justify="left")
    columns = ("requests/s", "ratio", "serving process, µs", "model processes, µs", "limit, requests/s", "ratio")
    for column in ("request", *columns):
        table.add_column(column, justify="left" if column == "request" else "right")
    for request in REQUESTS:
        one, several = rows[request, 1], rows[request, processes]
        pairs = {key: f"{median(one, key):.0f}, {median(several, key):.0f}" for key in one[0]}
        rate, limit = ratios(several, one, "rate"), ratios(several, one, "limit")
        table.add_row(request, pairs["rate"], rate, pairs["serving"], pairs["models"], pairs["limit"], limit)
    return table


if __name__ == "__main__":
    sys.exit(main())
