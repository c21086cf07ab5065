"""The operator's Kubernetes client compared with lightkube and kubernetes-asyncio: writes per second and memory.

Every round runs each client once, in a separate process, against the same real API server. Figures are medians over the
rounds; ratios are computed within a round and printed with their spread.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from fairlead_cluster.base.home import CHECKOUT
from fairlead_cluster.local.control_plane import ControlPlane
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.environment import make_environment
from bench.figures import median, ratios

ROUNDS, WRITES, AT_ONCE = 7, 400, 8
CLIENTS = ("thin", "lightkube", "kubernetes-asyncio")


def main() -> None:
    """Measure and print."""
    console = Console()
    python = make_environment()
    results: dict[str, list[dict[str, float]]] = {name: [] for name in CLIENTS}
    with tempfile.TemporaryDirectory() as folder, ControlPlane(Path(folder), ("etcd", "kube-apiserver")) as plane:
        for _ in track(range(ROUNDS), description="rounds", console=console):
            for name in CLIENTS:
                results[name].append(run(python, name, plane.kubeconfig))
    table = Table(title=f"{WRITES} server-side applies, {AT_ONCE} at once, {ROUNDS} rounds", title_justify="left")
    for column in ("client", "writes/s", "thin is faster by", "MiB", "MiB to thin"):
        table.add_column(column, justify="left" if column == "client" else "right")
    for name in CLIENTS:
        faster = ratios(results["thin"], results[name], "writes")
        more = ratios(results[name], results["thin"], "mib")
        writes, mib = median(results[name], "writes"), median(results[name], "mib")
        table.add_row(name, f"{writes:.0f}", faster, f"{mib:.0f}", more)
    console.print(table)


def run(python: Path, name: str, kubeconfig: Path) -> dict[str, float]:
    """Run one client once."""
    environment = os.environ | {"KUBECONFIG": str(kubeconfig), "PYTHONPATH": str(CHECKOUT / "operator")}
    command = [python, CHECKOUT / "bench" / "clients" / "contenders.py", name, str(WRITES), str(AT_ONCE)]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr}")
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    main()
