"""What an online look-up costs inside a graph: features by keys and a model, against the model with the features sent.

Both graphs run at the same time, and one client asks them in turns over a connection to each, so that a disturbance of
the machine meets both. Figures are of each round; the added time is computed within a round.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from fairlead_artifacts import publish
from rich.console import Console
from rich.progress import track

from bench.figures import Round, median, percentile, ratios
from bench.serving.contenders import Contender, fairlead_command, find_environment, started
from tests.support.onnx_models import model, node

FEATURES, KEYS = 12, 5_000
_SET, _NAME = "all", "graph"
_NOW = "2024-05-01T12:00:00Z"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.features", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=2_000, help="of each graph in a round")
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder = Path(name)
        uri, endpoint = write_model(folder), stack.enter_context(serving_features(folder))
        plain: dict[str, Any] = {"name": "model", "type": "MODEL", "modelUri": uri, "children": []}
        looked_up = {
            "name": "features", "type": "TRANSFORMER", "protocol": "v2", "modelName": _SET, "endpoint": endpoint,
            "children": [plain],
        }  # fmt: skip
        ports = [
            stack.enter_context(started(serve(graph), folder / label, folder))
            for label, graph in (("plain", plain), ("looked-up", looked_up))
        ]
        measure(ports, 300)
        rounds = [measure(ports, options.requests) for _ in track(range(options.rounds), "rounds", console=console)]
    load = os.getloadavg()[0]
    report(rounds, console)
    console.print(f"load at the end {load:.1f}")
    return 0


def report(rounds: list[tuple[Round, Round]], console: Console) -> None:
    """Print the figures in milliseconds."""
    plain, looked_up = [each[0] for each in rounds], [each[1] for each in rounds]
    for name in ("p50", "p99"):
        added = sorted(more[name] - less[name] for less, more in rounds)
        console.print(
            f"{name}: {median(plain, name):.2f} ms without, {median(looked_up, name):.2f} ms with the look-up; "
            f"ratio {ratios(looked_up, plain, name)}; "
            f"added {added[len(added) // 2]:.2f} ms ({added[0]:.2f} to {added[-1]:.2f})"
        )


def write_model(folder: Path) -> str:
    """Publish a model of one input for each feature, whose output is their sum; return its URI."""
    names = [f"view__f{number}" for number in range(FEATURES)]
    ports = [(name, "FP32", ["n", 1]) for name in (*names, "sum")]
    (folder / "made").mkdir()
    (folder / "made" / "model.onnx").write_bytes(model([node("Sum", names, ["sum"])], ports[:-1], ports[-1:]))
    uri = (folder / "model").as_uri()
    publish(folder / "made", uri, kind="onnx-model", producer="bench/0")
    return uri


@contextmanager
def serving_features(folder: Path) -> Iterator[dict[str, Any]]:
    """Fill an online store of SQLite and serve it during the block; yields the endpoint."""
    store = {
        "registry": {"registry_type": "sql", "path": f"sqlite:///{folder}/registry.db"},
        "online_store": {"type": "sqlite", "path": f"{folder}/online.db"},
    }
    (folder / "store.yaml").write_text(yaml.safe_dump(store))
    features = {f"f{number}": {"type": "FP32"} for number in range(FEATURES)}
    source = {"artifact": "history", "file": "history.parquet", "timestamp": "at"}
    view = {"entities": ["key"], "ttlSeconds": 86400, "source": source, "features": features}
    definitions = {"project": "bench", "entities": {"key": "INT64"}, "views": {"view": view}, "sets": {_SET: ["view"]}}
    (folder / "definitions").mkdir()
    (folder / "definitions" / "features.yaml").write_text(yaml.safe_dump(definitions))
    publish(folder / "definitions", (folder / "d").as_uri(), kind="code", producer="bench/0")
    python = find_environment("feature-store") / "python"
    (folder / "history").mkdir()
    subprocess.run([python, "-c", _HISTORY, folder / "history", str(FEATURES), str(KEYS)], check=True)
    publish(folder / "history", (folder / "h").as_uri(), kind="dataset", producer="bench/0")
    base = ["--definitions", (folder / "d").as_uri(), "--store", str(folder / "store.yaml")]
    history = [f"--source=history={(folder / 'h').as_uri()}", "--until", _NOW]
    for words in (["apply", *base], ["materialize", *base, *history]):
        command = [python, "-m", "fairlead_feature_store.main", *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def build(_: Path, __: Path, port: int) -> tuple[list[str], dict[str, str]]:
        words = ["serve", *base, "--set", _SET, "--now", _NOW, "--port", str(port)]
        argv = [str(python), "-m", "fairlead_feature_store.main", *words]
        return argv, {"FAIRLEAD_BIND_ADDRESS": "127.0.0.1"}

    with started(Contender("features", build, b"", "/v2/health/ready"), folder / "features", folder) as port:
        yield {"host": "127.0.0.1", "port": port, "type": "REST"}


_HISTORY = """
import sys, numpy as np, pandas as pd
folder, features, keys = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
table = pd.DataFrame({f"f{n}": np.random.default_rng(n).random(keys) for n in range(features)})
table.assign(key=np.arange(keys), at=pd.Timestamp("2024-05-01T11:00:00Z")).to_parquet(folder + "/history.parquet")
"""
"""Runs in the component's environment, which has pandas."""


def serve(graph: dict[str, Any]) -> Contender:
    """Return the graph server with a graph."""
    return Contender("fairlead", fairlead_command(_NAME, graph, {}), b"", "/v2/health/ready")


def measure(ports: list[int], count: int) -> tuple[Round, Round]:
    """Ask both graphs in turns for one row each; return the latencies of each."""
    random = np.random.default_rng(1)
    connections = [http.client.HTTPConnection("127.0.0.1", port) for port in ports]
    found: list[list[float]] = [[], []]
    for number in range(count):
        key = int(random.integers(KEYS))
        for side in (0, 1) if number % 2 else (1, 0):
            body = build_features(key) if side == 0 else build_key(key)
            start = time.perf_counter()
            connections[side].request("POST", f"/v2/models/{_NAME}/infer", body)
            response = connections[side].getresponse()
            content = response.read()
            found[side].append((time.perf_counter() - start) * 1000)
            if response.status != 200:
                sys.exit(f"{response.status}: {content[:500]!r}")
    for connection in connections:
        connection.close()
    plain, looked_up = ({"p50": percentile(times, 50), "p99": percentile(times, 99)} for times in found)
    return plain, looked_up


def build_features(key: int) -> bytes:
    """Return a request with a row of features."""
    names = [f"view__f{number}" for number in range(FEATURES)]
    inputs = [{"name": name, "datatype": "FP32", "shape": [1, 1], "data": [key / KEYS]} for name in names]
    return json.dumps({"inputs": inputs}).encode()


def build_key(key: int) -> bytes:
    """Return a request with a key."""
    return json.dumps({"inputs": [{"name": "key", "datatype": "INT64", "shape": [1, 1], "data": [key]}]}).encode()


if __name__ == "__main__":
    sys.exit(main())
