"""`up`, `down` and `status` of the local cluster, whose processes outlive the command."""

import asyncio
import fcntl
import os
import shlex
import shutil
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from fairlead.kube.client import KubeClient
from fairlead.kube.errors import ApiError
from fairlead.kube.kinds import CRD, NODE, WATCHED
from rich.console import Console
from rich.table import Table

from fairlead_cluster.base.daemons import Daemons, tail
from fairlead_cluster.base.errors import ClusterError
from fairlead_cluster.base.home import CHECKOUT, Home
from fairlead_cluster.local.control_plane import COMPONENTS, ControlPlane, answers
from fairlead_cluster.local.node.processes import end_processes
from fairlead_cluster.local.node.registration import NAME

NODE_AGENT, OPERATOR = "node", "operator"
PARTS = (*COMPONENTS, NODE_AGENT, OPERATOR)
_STATE = ("etcd", "pods", "pki", "processes", "settings.json", "tokens.csv", "kubeconfig", "hosts")
_POD_GRACE_SECONDS, _OPERATOR_GRACE_SECONDS = 3.0, 5.0
_READY_SECONDS = 60.0


@dataclass(frozen=True)
class ClusterStatus:
    """Which parts of the local cluster are running."""

    kubeconfig: Path
    running: dict[str, bool]

    @property
    def up(self) -> bool:
        """Return True if the cluster is usable; the operator may run elsewhere."""
        return all(self.running[name] for name in PARTS if name != OPERATOR)


def up(home: Path, operator: bool = True, console: Console | None = None) -> ClusterStatus:
    """Start what is not running yet, return when pods can run, and print what is running; raises ClusterError."""
    where = Home(home)
    with _alone(where):
        _start(where, operator)
    return status(home, console)


def _start(where: Home, operator: bool) -> None:
    plane = _control_plane(where)
    daemons = _daemons(where)
    plane.start()
    if not daemons.find(NODE_AGENT):
        daemons.start(NODE_AGENT, [sys.executable, "-m", "fairlead_cluster.local.node", where.root])
    asyncio.run(_make_ready(plane.kubeconfig, daemons))
    if operator and not daemons.find(OPERATOR):
        daemons.start(OPERATOR, [_operator_command()], env=_operator_environment(plane))
        _await_operator(plane.settings.operator_port, daemons)


def down(home: Path, *, purge: bool = False) -> None:
    """Stop every process of the local cluster, pods included; `purge` deletes its objects, too, but no artifacts."""
    where = Home(home)
    if not where.cluster.exists():
        return
    with _alone(where):
        _stop(where)
        if purge:
            _delete_state(where)


def _stop(where: Home) -> None:
    daemons = _daemons(where)
    # the node before its pods, or it would start them again
    daemons.stop([OPERATOR, NODE_AGENT], _OPERATOR_GRACE_SECONDS)
    end_processes(where.cluster / "pods", _POD_GRACE_SECONDS)
    if (where.cluster / "settings.json").exists():
        _control_plane(where).stop()


def _delete_state(where: Home) -> None:
    _keep_logs(where)
    for name in _STATE:
        path = where.cluster / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for path in where.cluster.glob("*.kubeconfig"):
        path.unlink()


def status(home: Path, console: Console | None = None) -> ClusterStatus:
    """Return which parts are running, and print them as a table."""
    where = Home(home)
    daemons = _daemons(where)
    processes = {name: daemons.find(name) for name in PARTS}
    table = Table("part", "state", "process")
    for name, process in processes.items():
        state = "[green]running[/]" if process else "[dim]stopped[/]"
        table.add_row(name, state, str(process.pid) if process else "")
    console = console or Console()
    console.print(table)
    found = ClusterStatus(where.cluster / "kubeconfig", {name: bool(process) for name, process in processes.items()})
    if found.up:
        console.print(f"logs: {where.cluster / 'processes'}", soft_wrap=True)
        console.print(f"export KUBECONFIG={shlex.quote(str(found.kubeconfig))}", soft_wrap=True)
    return found


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    """Wait until no other command starts or stops this cluster."""
    home.cluster.mkdir(parents=True, exist_ok=True)
    with (home.cluster / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _control_plane(home: Home) -> ControlPlane:
    return ControlPlane(home.cluster, kube=home.kube, detached=True)


def _daemons(home: Home) -> Daemons:
    return Daemons(home.cluster / "processes", detached=True)


def _operator_command() -> Path:
    return Path(sys.executable).parent / "fairlead-operator"


def _operator_environment(plane: ControlPlane) -> dict[str, str]:
    return {
        **os.environ,
        "KUBECONFIG": str(plane.kubeconfig),
        "FAIRLEAD_BIND_ADDRESS": "127.0.0.1",
        "FAIRLEAD_PORT": str(plane.settings.operator_port),
        "FAIRLEAD_LOG_FORMAT": "text",
    }


def _await_operator(port: int, daemons: Daemons) -> None:
    """Wait until the operator is ready; raises ClusterError when it ends instead."""
    log = daemons.log(OPERATOR)
    deadline = time.monotonic() + _READY_SECONDS
    while not answers(urllib.request.Request(f"http://127.0.0.1:{port}/healthz")):
        if not daemons.find(OPERATOR):
            raise ClusterError(f"the operator ended while starting; the last lines of {log}:\n{tail(log)}")
        if time.monotonic() > deadline:
            raise ClusterError(f"the operator is not ready after {_READY_SECONDS:.0f} s; see {log}:\n{tail(log)}")
        time.sleep(0.1)


async def _make_ready(kubeconfig: Path, daemons: Daemons) -> None:
    """Define our resources and wait until the node accepts pods."""
    async with KubeClient.from_kubeconfig(kubeconfig) as client:
        for path in sorted((CHECKOUT / "manifests" / "crds").glob("*.yaml")):
            for document in yaml.safe_load_all(path.read_text()):
                await client.apply(CRD, document)
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            node = await client.find(NODE, NAME)
            if node and not node["spec"].get("taints") and await _resources_served(client):
                return
            if time.monotonic() > deadline or not daemons.find(NODE_AGENT):
                log = daemons.log(NODE_AGENT)
                raise ClusterError(f"the node is not ready; the last lines of {log}:\n{tail(log)}")
            await asyncio.sleep(0.1)


async def _resources_served(client: KubeClient) -> bool:
    """Return True if our resources can be listed: the API server serves them a moment after their definition."""
    try:
        for kind in WATCHED:
            await client.list(kind)
    except ApiError as error:
        if error.code in (404, 429, 503):
            return False
        raise
    return True


def _keep_logs(home: Home) -> None:
    """Move the logs of a stopped cluster to where the next one does not overwrite them."""
    logs = home.logs / "cluster"
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    for path in (home.cluster / "processes").glob("*.log"):
        path.replace(logs / path.name)
