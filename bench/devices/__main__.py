"""What the device's server costs: latency and memory beside the bare engine, and its start beside torch's.

The model is MobileNetV2 (random weights), one image a request as binary tensors over HTTP, one thread. In every round,
the engine runs in a loop without a server, then the server answers one client that waits for each answer, then torch is
imported and runs a convolution. Engine and server have a core, the client the other one.
"""

import argparse
import contextlib
import hashlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from fairlead_artifacts import publish
from fairlead_contracts.edge_bundle import BUNDLE_FILE, KIND, MODEL_FILE, BundleDescription, Preprocessing
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.devices.memory import list_family, measure_memory
from bench.figures import Round, median, ratios
from bench.serving.__main__ import run
from bench.serving.contenders import LOAD_CORE, SERVER_CORE, find_environment
from tests.support.ports import free_port

_NAME, _SIZE, _START_SECONDS = "mobilenet", 224, 60
_TORCH = "import torch; print(torch.nn.Conv2d(3, 32, 3)(torch.zeros(1, 3, 224, 224)).sum().item())"
_PLAIN_WIDTH = 120
_FOLDER = Path(__file__).parent


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.devices", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    options = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PLAIN_WIDTH)
    bare, served, torch = [], [], []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        bundle = write_bundle(Path(name))
        for _ in track(range(options.rounds), description="rounds", console=console):
            bare.append(measure_bare(bundle / MODEL_FILE, options.seconds))
            served.append(measure_server(bundle, options.seconds))
            torch.append(measure_torch())
    console.print(build_table(bare, served, torch))
    return 0


def write_bundle(folder: Path) -> Path:
    """Publish a bundle of the network; return its folder."""
    made = folder / "made"
    made.mkdir()
    run(SERVER_CORE, [str(python("edge-runtime")), str(_FOLDER / "network.py"), str(made / MODEL_FILE)])
    digest = hashlib.sha256((made / MODEL_FILE).read_bytes()).hexdigest()
    description = BundleDescription(_NAME, Preprocessing(), (), "onnx", {MODEL_FILE: digest})
    (made / BUNDLE_FILE).write_text(description.to_text())
    publish(made, (folder / "bundle").as_uri(), kind=KIND, producer="bench/0")
    return folder / "bundle"


def python(environment: str) -> Path:
    """Return the Python of a component's environment."""
    return find_environment(environment) / "python"


def measure_bare(model: Path, seconds: float) -> Round:
    """Return the latency of the engine in a loop in milliseconds, and its memory in MiB."""
    command = [str(python("edge-runtime")), "-m", "bench.devices.bare", str(model), str(seconds)]
    return dict(json.loads(run(SERVER_CORE, command)))


def measure_torch() -> Round:
    """Return the seconds from the start of a process to the first result of torch."""
    start = time.perf_counter()
    run(SERVER_CORE, [str(python("onnx-converter")), "-c", _TORCH])
    return {"start": time.perf_counter() - start}


def measure_server(bundle: Path, seconds: float) -> Round:
    """Return the server's latency in milliseconds, its memory in MiB, and the seconds to its first answer."""
    begun = time.perf_counter()
    with started(bundle) as (port, pid):
        ask = Client(port)
        while not ask():
            if time.perf_counter() - begun > _START_SECONDS:
                raise RuntimeError("the server does not answer")
            time.sleep(0.005)
        first = time.perf_counter() - begun
        latencies, end = [], time.perf_counter() + seconds
        while (start := time.perf_counter()) < end:
            if not ask():
                raise RuntimeError("a request failed")
            latencies.append(time.perf_counter() - start)
        memory = measure_memory(list_family(pid))
    return {"ms": statistics.median(latencies) * 1000, "mib": memory, "start": first}


@contextmanager
def started(bundle: Path) -> Iterator[tuple[int, int]]:
    """Serve the bundle on the server's core during the block; yields the port and the process's id."""
    port = free_port()
    command = [str(find_environment("edge-runtime") / "fairlead-edge"), "serve", "--bundle", str(bundle)]
    process = subprocess.Popen(
        ["taskset", "--cpu-list", str(SERVER_CORE), *command, "--port", str(port)],
        env={**os.environ, "FAIRLEAD_BIND_ADDRESS": "127.0.0.1"}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(20)


class Client:
    """A client with one connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        x = np.random.default_rng(1).random((1, 3, _SIZE, _SIZE), np.float32)
        tensor = {"name": "x", "datatype": "FP32", "shape": list(x.shape), "parameters": {"binary_data_size": x.nbytes}}
        head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
        self._headers, self._body = {"Inference-Header-Content-Length": str(len(head))}, head + x.tobytes()

    def __call__(self) -> bool:
        """Send the request; return whether it was answered."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            self._connection.request("POST", f"/v2/models/{_NAME}/infer", self._body, self._headers)
            response = self._connection.getresponse()
            response.read()
            return response.status == 200
        self._connection.close()
        return False


def build_table(bare: list[Round], served: list[Round], torch: list[Round]) -> Table:
    """Return the figures."""
    table = Table(title=f"MobileNetV2, one image, one thread: medians of {len(bare)} rounds")
    for title in ("", "p50, ms", "memory, MiB", "to the first answer, s"):
        table.add_column(title, justify="left" if not title else "right")
    for name, found in (("engine in a loop", bare), ("fairlead-edge serve", served), ("torch", torch)):
        texts = (f"{median(found, key):.2f}" if key in found[0] else "" for key in ("ms", "mib", "start"))
        table.add_row(name, *texts)
    more = [{"mib": one["mib"] - other["mib"]} for one, other in zip(served, bare, strict=True)]
    table.add_row("served to bare", ratios(served, bare, "ms"), f"+{median(more, 'mib'):.0f}", "")
    table.add_row("served to torch", "", "", ratios(served, torch, "start"))
    return table


if __name__ == "__main__":
    sys.exit(main())
