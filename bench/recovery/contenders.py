"""Those who run an elastic training of two processes, each on a "host" of its own on this machine."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.fairlead_job import start_job
from tests.support.trainings.steps import ELASTIC_HOROVOD, ELASTIC_TORCHRUN

Processes = list["subprocess.Popen[bytes]"]
_BIN = Path(sys.executable).parent
_ELASTIC = {"FAIRLEAD_MIN_WORKERS": "1", "FAIRLEAD_MAX_WORKERS": "2"}


@dataclass(frozen=True)
class Contender:
    """One of them: `start` starts it in a folder, for its logs, with environment variables."""

    name: str
    start: Callable[[Path, Mapping[str, str]], Processes]


def _fairlead_horovod(folder: Path, environment: Mapping[str, str]) -> Processes:
    return start_job(folder, "horovod", 2, [sys.executable, str(ELASTIC_HOROVOD)], {**environment, **_ELASTIC})


def _fairlead_torchrun(folder: Path, environment: Mapping[str, str]) -> Processes:
    return start_job(folder, "torchrun", 2, [sys.executable, str(ELASTIC_TORCHRUN)], {**environment, **_ELASTIC})


def _horovodrun(folder: Path, environment: Mapping[str, str]) -> Processes:
    # two names of this machine: horovodrun wants two hosts, and starts processes on its own without SSH
    hosts = f"localhost:1,{socket.gethostname()}:1"
    options = ["--gloo", "--network-interfaces", "lo", "-np", "2", "--min-np", "1", "--max-np", "2", "-H", hosts]
    return [_spawn(folder, "horovodrun", environment, "horovodrun", *options, sys.executable, str(ELASTIC_HOROVOD))]


def _torchrun(folder: Path, environment: Mapping[str, str]) -> Processes:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{free.getsockname()[1]}"
    options = ["--nnodes=1:2", "--nproc-per-node=1", "--max-restarts=3", "--rdzv-backend=c10d", "--rdzv-id=bench"]
    command = ["torchrun", *options, f"--rdzv-endpoint={endpoint}", str(ELASTIC_TORCHRUN)]
    return [_spawn(folder, f"agent-{number}", environment, *command) for number in range(2)]


def _spawn(
    folder: Path, name: str, environment: Mapping[str, str], program: str, *words: str
) -> "subprocess.Popen[bytes]":
    with (folder / f"{name}.log").open("wb") as log:
        variables = os.environ | dict(environment)
        command = [str(_BIN / program), *words]
        return subprocess.Popen(command, env=variables, stdout=log, stderr=log, start_new_session=True)


CONTENDERS = (
    Contender("fairlead, Horovod", _fairlead_horovod),
    Contender("horovodrun", _horovodrun),
    Contender("fairlead, Torchrun", _fairlead_torchrun),
    Contender("torchrun", _torchrun),
)
PEERS = ("horovodrun", "torchrun")
