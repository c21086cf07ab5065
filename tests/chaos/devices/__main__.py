"""Kill the installation and the server of a device at each of their changes of files, many times.

Each time, the device must have a release that verifies, answer with it when it starts again, and finish the update. It
runs tests/components/edge-runtime/test_power_cuts.py, which `make test` runs once a step.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tests.support.edge_rounds import ROUNDS

_HOME = Path(os.environ.get("FAIRLEAD_HOME") or Path.home() / ".fairlead")
_TEST = "tests/components/edge-runtime/test_power_cuts.py"


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.devices", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="how many times each step is tried (default: 100)")
    options = parser.parse_args()
    python = _HOME / "envs" / "edge-runtime" / "bin" / "python"
    command = [str(python), "-m", "pytest", "-s", _TEST]
    return subprocess.run(command, env={**os.environ, ROUNDS: str(options.rounds)}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
