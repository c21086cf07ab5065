"""`up`, `down` and `status` of the local cluster: its processes go on when the command has ended."""

import asyncio
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from fairlead.kube.client import KubeClient
from fairlead.kube.kinds import CRD, NODE
from fairlead.local.control_plane import COMPONENTS, ControlPlane, ControlPlaneError
from fairlead.local.daemons import Daemons, tail
from fairlead.local.home import CHECKOUT, Home
from fairlead.local.node.processes import end_processes
from fairlead.local.node.registration import NAME

NODE_AGENT, OPERATOR = "node", "operator"
PARTS = (*COMPONENTS, NODE_AGENT, OPERATOR)
_STATE = ("etcd", "pods", "pki", "processes", "settings.json", "tokens.csv", "kubeconfig", "hosts")
_POD_GRACE_SECONDS, _OPERATOR_GRACE_SECONDS = 3.0, 5.0
_READY_SECONDS = 60.0


@dataclass(frozen=True)
class ClusterStatus:
    """Which parts of the local cluster run."""

    kubeconfig: Path
    running: dict[str, bool]

    @property
    def up(self) -> bool:
        """Say whether the cluster can be used; the operator may run elsewhere."""
        return all(self.running[name] for name in PARTS if name != OPERATOR)


def up(home: Path, operator: bool = True) -> ClusterStatus:
    """Start what does not run yet and return when pods can run; raises ControlPlaneError."""
    where = Home(home)
    plane = _control_plane(where)
    daemons = _daemons(where)
    plane.start()
    if not daemons.find(NODE_AGENT):
        daemons.start(NODE_AGENT, [sys.executable, "-m", "fairlead.local.node", where.root])
    asyncio.run(_make_ready(plane.kubeconfig, daemons.log(NODE_AGENT)))
    if operator and not daemons.find(OPERATOR):
        daemons.start(OPERATOR, [_operator_command()], env={**os.environ, "KUBECONFIG": str(plane.kubeconfig)})
    return status(home)


def down(home: Path) -> None:
    """End every process of the local cluster, pods included, and forget its objects; artifacts and logs stay."""
    where = Home(home)
    if not where.cluster.exists():
        return
    daemons = _daemons(where)
    # the node before its pods, or it would start them again
    daemons.stop([OPERATOR, NODE_AGENT], _OPERATOR_GRACE_SECONDS)
    end_processes(where.cluster / "pods", _POD_GRACE_SECONDS)
    if (where.cluster / "settings.json").exists():
        _control_plane(where).stop()
    _keep_logs(where)
    for name in _STATE:
        path = where.cluster / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for path in where.cluster.glob("*.kubeconfig"):
        path.unlink()


def status(home: Path) -> ClusterStatus:
    """Return which parts run."""
    where = Home(home)
    daemons = _daemons(where)
    return ClusterStatus(where.cluster / "kubeconfig", {name: daemons.find(name) is not None for name in PARTS})


def _control_plane(home: Home) -> ControlPlane:
    return ControlPlane(home.cluster, kube=home.kube, detached=True)


def _daemons(home: Home) -> Daemons:
    return Daemons(home.cluster / "processes", detached=True)


def _operator_command() -> Path:
    return Path(sys.executable).parent / "fairlead-operator"


async def _make_ready(kubeconfig: Path, node_log: Path) -> None:
    """Define our resources and wait until the node takes pods."""
    async with KubeClient.from_kubeconfig(kubeconfig) as client:
        for path in sorted((CHECKOUT / "manifests" / "crds").glob("*.yaml")):
            for document in yaml.safe_load_all(path.read_text()):
                await client.apply(CRD, document)
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            node = await client.find(NODE, NAME)
            if node and not node["spec"].get("taints"):
                return
            if time.monotonic() > deadline:
                raise ControlPlaneError(f"the node is not ready after {_READY_SECONDS:.0f} s:\n{tail(node_log)}")
            await asyncio.sleep(0.1)


def _keep_logs(home: Home) -> None:
    """Move the logs of a cluster that ends to where the next one does not overwrite them."""
    logs = home.logs / "cluster"
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    for path in (home.cluster / "processes").glob("*.log"):
        path.replace(logs / path.name)
