"""What a node costs: chains of identity nodes in the graph server, asked by one client that waits for each answer.

Nodes are ONNX models in the server's process, or models of another graph server that is called over REST or gRPC. The
limit is as many sessions in a loop without a server. Every round measures each chain; figures are medians over the
rounds, and a node's cost is computed within a round, from the longest chain and the one of a single node.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fairlead_artifacts import publish
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.figures import Round, median
from bench.serving.__main__ import run, send
from bench.serving.contenders import SERVER_CORE, Contender, fairlead_command, find_environment, started
from bench.serving.model import build_json
from tests.support.onnx_models import identity
from tests.support.ports import free_port

LENGTHS = (1, 2, 4, 8)
_PLAIN_WIDTH = 140
_NODE = "n0"
_COLUMNS = 4
LOOP = "sessions in a loop"


@dataclass(frozen=True)
class Kind:
    """How the nodes of a chain run."""

    name: str
    transport: str = ""
    """How another server is called; empty for nodes in process."""
    lengths: tuple[int, ...] = LENGTHS


KINDS = (Kind("in process"), Kind("remote, gRPC", "GRPC", (1, 2, 4)), Kind("remote, REST", "REST", (1, 2, 4)))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.graph", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    options = parser.parse_args()
    options.connections = 1
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PLAIN_WIDTH)
    rounds: dict[str, list[Round]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        model = write_model(folder)
        for number in track(range(options.rounds), description="rounds", console=console):
            rounds.setdefault(LOOP, []).append(measure_loop(model, options.seconds))
            for kind in KINDS:
                place = folder / f"{kind.name.replace(' ', '-')}-{number}"
                rounds.setdefault(kind.name, []).append(measure(kind, model, place, options))
    console.print(build_table(rounds))
    return 0


def write_model(folder: Path) -> Path:
    """Publish a model that answers with its input; return its artifact's folder."""
    made = folder / "made"
    made.mkdir()
    (made / "model.onnx").write_bytes(identity("FP32", ["rows", _COLUMNS]))
    publish(made, (folder / "identity").as_uri(), kind="onnx-model", producer="bench/0")
    return folder / "identity"


def measure_loop(model: Path, seconds: float) -> Round:
    """Run as many sessions one after the other in a loop; return the microseconds of each length."""
    python, script = find_environment("graph-server") / "python", Path(__file__).with_name("in_process.py")
    found = {}
    for length in LENGTHS:
        argv = [str(python), str(script), str(model / "model.onnx"), str(length), str(_COLUMNS), str(seconds)]
        found[str(length)] = float(run(SERVER_CORE, argv))
    return found


def measure(kind: Kind, model: Path, folder: Path, options: argparse.Namespace) -> Round:
    """Serve chains of each length; return the medians of their latencies in microseconds."""
    found = {}
    for length in kind.lengths:
        with serving_nodes(kind, model, folder / f"nodes-{length}") as endpoint:
            graph = build_chain(length, model, endpoint)
            with started(serve(graph), folder / f"chain-{length}", model) as port:
                send(port, request(), options, seconds=0.5)
                found[str(length)] = send(port, request(), options)["p50"] * 1000
    return found


@contextmanager
def serving_nodes(kind: Kind, model: Path, folder: Path) -> Iterator[dict[str, Any] | None]:
    """Serve the model for remote nodes during the block; yields its endpoint, None for nodes in process."""
    if not kind.transport:
        yield None
        return
    grpc_port = free_port()
    with started(serve(build_chain(1, model, None), FAIRLEAD_GRPC_PORT=str(grpc_port)), folder, model) as port:
        yield {"host": "127.0.0.1", "port": grpc_port if kind.transport == "GRPC" else port, "type": kind.transport}


def build_chain(length: int, model: Path, endpoint: dict[str, Any] | None) -> dict[str, Any]:
    """Return a graph of nodes, each of which gets the answer of the one before."""
    place = (
        {"modelUri": model.as_uri()} if endpoint is None
        else {"endpoint": endpoint, "protocol": "v2", "modelName": _NODE}
    )  # fmt: skip
    graph: dict[str, Any] = {}
    for number in reversed(range(length)):
        type_ = "TRANSFORMER" if graph else "MODEL"
        graph = {"name": f"n{number}", "type": type_, "children": [graph] if graph else [], **place}
    return graph


def serve(graph: dict[str, Any], **variables: str) -> Contender:
    """Return the graph server with a graph."""
    return Contender("fairlead", fairlead_command(_NODE, graph, variables), request(), "/v2/health/ready")


def request() -> bytes:
    """Build a request with one row."""
    row = [round(float(value), 3) for value in np.random.default_rng(3).random(_COLUMNS)]
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, _COLUMNS], "data": row}
    return build_json(f"/v2/models/{_NODE}/infer", {"inputs": [tensor]})


def build_table(rounds: dict[str, list[Round]]) -> Table:
    """Build the table of latencies by length, and of a node's cost."""
    table = Table(title="p50 of one client, microseconds", title_justify="left")
    for column in ("nodes", *map(str, LENGTHS), "a node costs"):
        table.add_column(column, justify="left" if column == "nodes" else "right")
    for name, found in rounds.items():
        known = [length for length in LENGTHS if str(length) in found[0]]
        last = known[-1]
        costs = sorted((each[str(last)] - each["1"]) / (last - 1) for each in found)
        cost = f"{costs[len(costs) // 2]:.1f} ({costs[0]:.1f} to {costs[-1]:.1f})"
        cells = [f"{median(found, str(length)):.0f}" if length in known else "" for length in LENGTHS]
        table.add_row(name, *cells, cost)
    return table


if __name__ == "__main__":
    sys.exit(main())
