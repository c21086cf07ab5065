"""A training job as its pods run it, as processes: a launcher and its agents, each on a loopback address of its own."""

import os
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from fairlead_contracts.environment import LAUNCHER_PORT

_BIN = Path(sys.executable).parent
_NETWORK = "127.77.0"


def start_job(
    folder: Path, backend: str, workers: int, command: Sequence[str], environment: Mapping[str, str]
) -> "list[subprocess.Popen[bytes]]":
    """Start the launcher and the agents of a job; their logs and reports are in the folder."""
    (folder / "key").write_text(secrets.token_hex(32))
    common = {
        "FAIRLEAD_JOB": "bench",
        "FAIRLEAD_ATTEMPT": "0",
        "FAIRLEAD_KEY_FILE": str(folder / "key"),
        "FAIRLEAD_WORKERS": str(workers),
        "FAIRLEAD_SLOTS": "1",
        "FAIRLEAD_BACKEND": backend,
        "FAIRLEAD_LAUNCHER": f"{_NETWORK}.1:{LAUNCHER_PORT}",
        "TMPDIR": str(folder),
        **environment,
    }

    def start(name: str, program: Sequence[str], address: str, **variables: str) -> "subprocess.Popen[bytes]":
        own = {
            "POD_IP": address,
            "FAIRLEAD_BIND_ADDRESS": address,
            "FAIRLEAD_TERMINATION_LOG": str(folder / f"{name}.termination"),
        }
        with (folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                program, env=os.environ | common | own | variables, stdout=log, stderr=log, start_new_session=True
            )

    launcher = start("launcher", [str(_BIN / "fairlead-launcher")], f"{_NETWORK}.1")
    agent = [str(_BIN / "fairlead-agent"), "--", *command]
    agents = [
        start(f"worker-{index}", agent, f"{_NETWORK}.{10 + index}", FAIRLEAD_WORKER_INDEX=str(index))
        for index in range(workers)
    ]
    return [launcher, *agents]
