"""Requests per second and latencies of the graph server, compared with its limit in Python and with its peers.

Server and load have a core each. Every round measures each contender: as fast as it answers, then at half of the rate
that it has reached. Figures are medians over the rounds; ratios are computed within a round and printed with their
spread.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from fairlead_cluster.base.home import CHECKOUT
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.figures import Round, median, ratios
from bench.serving.contenders import (
    BARE,
    CONTENDERS,
    FAIRLEAD,
    LOAD_CORE,
    PEERS,
    SERVER_CORE,
    Contender,
    find_environment,
    started,
)
from bench.serving.model import binary_request, write_model

_PLAIN_WIDTH = 140
_ROWS = 64


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.serving", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--connections", type=int, default=16)
    known = [contender.name for contender in CONTENDERS]
    parser.add_argument("--contender", choices=known, action="append", help="(default: all)")
    options = parser.parse_args()
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PLAIN_WIDTH)
    chosen = [contender for contender in CONTENDERS if options.contender is None or contender.name in options.contender]
    rows: dict[str, list[Round]] = {contender.name: [] for contender in chosen}
    batches: list[Round] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        model = write_model(folder)
        for number in track(range(options.rounds), description="rounds", console=console):
            for contender in chosen:
                place = folder / f"{contender.name.replace(' ', '-')}-{number}"
                with started(contender, place, model) as port:
                    rows[contender.name].append(measure(contender, port, options))
                    if contender.name == FAIRLEAD:
                        batches.append(measure_batches(port, model, options))
    console.print(build_table(rows))
    if batches:
        share = [one["share"] for one in sorted(batches, key=lambda one: one["share"])]
        console.print(
            f"batches of {_ROWS} rows as bytes: {median(batches, 'served'):.0f} a second,"
            f" {median(batches, 'share'):.2f} ({share[0]:.2f} to {share[-1]:.2f}) of a loop in process"
        )
    return 0


def measure(contender: Contender, port: int, options: argparse.Namespace) -> Round:
    """Measure the rate at saturation, and the latencies at half of it."""
    send(port, contender.request, options, seconds=1.0)
    rate = send(port, contender.request, options)["rate"]
    half = send(port, contender.request, options, rate=rate / 2)
    return {"rate": rate, "p50": half["p50"], "p99": half["p99"]}


def measure_batches(port: int, model: Path, options: argparse.Namespace) -> Round:
    """Measure batches as bytes, and the same batches in a loop without a server."""
    served = send(port, binary_request(_ROWS), options)["rate"]
    python = find_environment("graph-server") / "python"
    script = Path(__file__).with_name("in_process.py")
    alone = float(run(SERVER_CORE, [str(python), str(script), str(model), str(_ROWS), str(options.seconds)]))
    return {"served": served, "share": served / alone}


def send(
    port: int, request: bytes, options: argparse.Namespace, seconds: float | None = None, rate: float | None = None
) -> Round:
    """Run the load generator on its core; return its figures."""
    command = [sys.executable, "-m", "bench.serving.load", str(port), "--connections", str(options.connections)]
    command += ["--seconds", str(seconds or options.seconds)]
    command += ["--rate", str(rate)] if rate is not None else []
    return dict(json.loads(run(LOAD_CORE, command, request)))


def run(core: int, command: list[str], text: bytes = b"") -> str:
    """Run a program on a core; return what it prints."""
    done = subprocess.run(
        ["taskset", "--cpu-list", str(core), *command], input=text, capture_output=True, cwd=CHECKOUT, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr.decode()}")
    return done.stdout.decode()


def build_table(rows: dict[str, list[Round]]) -> Table:
    """Build the table of one row a request."""
    table = Table(title="one row a request, JSON", title_justify="left")
    best = max((name for name in PEERS if name in rows), key=lambda name: median(rows[name], "rate"), default=None)
    calm = min((name for name in PEERS if name in rows), key=lambda name: median(rows[name], "p99"), default=None)
    columns = ["server", "requests/s", f"to {BARE}", f"to {best}", "p50, p99 ms at half of it", f"p99 to {calm}"]
    for column in columns:
        table.add_column(column, justify="left" if column == "server" else "right")
    for name, rounds in rows.items():
        table.add_row(
            name,
            f"{median(rounds, 'rate'):.0f}",
            ratios(rounds, rows[BARE], "rate") if BARE in rows else "",
            ratios(rounds, rows[best], "rate") if best else "",
            f"{median(rounds, 'p50'):.2f}, {median(rounds, 'p99'):.2f}",
            ratios(rounds, rows[calm], "p99") if calm else "",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
