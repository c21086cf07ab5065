"""Suspend a job in the middle, resume it, and draw its loss and that of the same job without an interruption.

Both jobs run on a local cluster of their own, two workers each. Exits 1 unless every loss is equal to the last bit.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairlead.api.group import API_VERSION
from fairlead_cluster.base.home import CHECKOUT

from bench.environment import make_environment
from tests.local.support import LocalCluster, started_cluster

Object = dict[str, Any]
Losses = list[tuple[int, float]]
_STEPS, _SUSPENDED_AT, _EVERY_STEPS, _PAUSE = 200, 90, 40, 0.05
_SECONDS = 400.0
_SCRIPTS = Path(__file__).parent


def main() -> int:
    """Run both jobs, compare, draw."""
    parser = argparse.ArgumentParser(prog="bench.resume", description=__doc__)
    parser.add_argument("--out", type=Path, default=CHECKOUT / "docs" / "resumed-loss.svg", help="an .svg or .png file")
    options = parser.parse_args()
    python = make_environment()
    with tempfile.TemporaryDirectory(prefix="bench-") as path:
        folder = Path(path)
        with started_cluster(folder / "home") as cluster:
            cluster.apply(build_job("whole", folder), build_job("resumed", folder))
            _wait(cluster, "resumed", lambda status: _step(status) >= _SUSPENDED_AT)
            cluster.kubectl("patch", "tj/resumed", "--type=merge", "-p", '{"spec":{"runPolicy":{"suspend":true}}}')
            _wait(cluster, "resumed", lambda status: status.get("phase") == "Suspended")
            cluster.kubectl("patch", "tj/resumed", "--type=merge", "-p", '{"spec":{"runPolicy":{"suspend":false}}}')
            for name in ("resumed", "whole"):
                status = _wait(cluster, name, lambda status: "completionTime" in status)
                if status["phase"] != "Succeeded":
                    raise RuntimeError(f"job {name}: {status}")
        whole, before, after = split(read(folder / "whole"), read(folder / "resumed"))
        differing = [step for step, loss in (*before, *after) if dict(whole)[step] != loss]
        content = json.dumps({"whole": whole, "before": before, "after": after})
        subprocess.run([python, _SCRIPTS / "draw.py", options.out], input=content, text=True, check=True)
    print(f"suspended after step {before[-1][0]}, resumed after step {after[0][0] - 1}; losses differ at {differing}")
    return 1 if differing or after[-1][0] != _STEPS else 0


def build_job(name: str, folder: Path) -> Object:
    """Return a job that writes its losses into the file `name` of a folder."""
    variables = {"STEPS": str(_STEPS), "PAUSE": str(_PAUSE), "LOSSES": str(folder / name), "OMP_NUM_THREADS": "1"}
    trainer = {
        "name": "trainer",
        "image": "fairlead/trainer:0.1.0",
        "command": ["python3", str(_SCRIPTS / "train.py")],
        "env": [{"name": key, "value": value} for key, value in variables.items()],
    }
    spec = {
        "launcher": "Torchrun",
        "workers": {"replicas": 2, "template": {"spec": {"containers": [trainer]}}},
        "checkpoint": {"uri": (folder / "checkpoints").as_uri(), "everySteps": _EVERY_STEPS},
        "runPolicy": {"backoffLimit": 0},
    }
    return {"apiVersion": API_VERSION, "kind": "TrainingJob", "metadata": {"name": name}, "spec": spec}


def read(file: Path) -> Losses:
    """Return the steps and losses of a job in the order of their writing."""
    return [(step, loss) for step, loss in map(json.loads, file.read_text().splitlines())]


def split(whole: Losses, resumed: Losses) -> tuple[Losses, Losses, Losses]:
    """Return the uninterrupted losses, and the others before and after the suspension."""
    first = next(index for index in range(1, len(resumed)) if resumed[index][0] <= resumed[index - 1][0])
    return whole, resumed[:first], resumed[first:]


def _step(status: Object) -> int:
    return int((status.get("progress") or {}).get("step", 0))


def _wait(cluster: LocalCluster, name: str, holds: Callable[[Object], bool]) -> Object:
    deadline = time.monotonic() + _SECONDS
    while not holds(status := dict(cluster.get("trainingjob", name).get("status", {}))):
        if time.monotonic() > deadline:
            raise TimeoutError(f"job {name} after {_SECONDS:g} s: {status}")
        time.sleep(0.5)
    return status


if __name__ == "__main__":
    sys.exit(main())
