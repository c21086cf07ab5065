"""A real Kubernetes control plane as ordinary processes: etcd, API server, controller manager, scheduler."""

import json
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from fairlead_cluster.base.daemons import Daemons, tail
from fairlead_cluster.base.errors import ClusterError
from fairlead_cluster.base.home import Home, default_home
from fairlead_cluster.local.arguments import build_commands
from fairlead_cluster.local.settings import load_settings
from fairlead_cluster.local.slots import check_slot

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_READY_SECONDS = 120.0
_USERS = {
    "admin": ("fairlead-admin", "system:masters"),
    "node": ("system:node:local", "system:nodes"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
}


class ControlPlane:
    """A control plane whose state is in one folder. As a context manager it ends with the block, or the process.

    `components` may leave out the controller manager and the scheduler: enough for CRDs, admission and validation.
    """

    def __init__(
        self,
        folder: Path,
        components: Sequence[str] = COMPONENTS,
        *,
        kube: Path | None = None,
        detached: bool = False,
        api_server_flags: Sequence[str] = (),
    ) -> None:
        """Use `kube` (default: the binary in FAIRLEAD_HOME); `detached` processes outlive this one.

        `api_server_flags` are added to the API server's own.
        """
        self.folder = folder
        self.settings = load_settings(folder)
        self._components = [name for name in COMPONENTS if name in components]
        self._kube = kube or Home(default_home()).kube
        self._api_server_flags = api_server_flags
        self._daemons = Daemons(folder / "processes", detached=detached)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    @property
    def node_kubeconfig(self) -> Path:
        """The node's kubeconfig."""
        return self.folder / "node.kubeconfig"

    @property
    def pki(self) -> Path:
        """The folder of keys and certificates."""
        return self.folder / "pki"

    def running(self) -> dict[str, bool]:
        """Return for each component whether its process runs."""
        return {name: self._daemons.find(name) is not None for name in self._components}

    def start(self) -> None:
        """Start what is not running yet and return when pods can be created."""
        if not self._kube.exists():
            raise ClusterError(f"{self._kube}: no such file, expected the Kubernetes binary; run `fairlead setup`")
        if not any(self.running().values()):
            check_slot(self.settings.slot, self.folder)
        self._write_files()
        commands = build_commands(self.folder, self.settings, "kube-controller-manager" in self._components)
        commands["kube-apiserver"] += self._api_server_flags
        for name in self._components:
            if not self._daemons.find(name):
                self._daemons.start(name, [self._kube, name, *commands[name]])
            # the others need it; an API server that ran all the time has to find an etcd that was started again
            if name in ("etcd", "kube-apiserver"):
                self._wait(name, _READY[name])
        if "kube-controller-manager" in self._components:
            # it creates the service account that every pod needs
            self._wait("kube-controller-manager", ControlPlane._controllers_ready)

    def stop(self) -> None:
        """Kill every component: its state is on disk already, so a graceful stop would only take longer."""
        self._daemons.stop(list(reversed(self._components)), grace_seconds=0)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _write_files(self) -> None:
        self.folder.chmod(0o700)
        if not (self.pki / "ca.crt").exists():
            self.pki.mkdir(exist_ok=True)
            subprocess.run([self._kube, "pki", self.pki, self.settings.first_service_address], check=True)
        tokens = [f'{self.settings.tokens[key]},{user},{user},"{group}"' for key, (user, group) in _USERS.items()]
        _write_private(self.folder / "tokens.csv", "\n".join(tokens) + "\n")
        authority = str(self.pki / "ca.crt")
        for key, path in (
            ("admin", self.kubeconfig),
            ("node", self.node_kubeconfig),
            ("controller-manager", self.folder / "controller-manager.kubeconfig"),
            ("scheduler", self.folder / "scheduler.kubeconfig"),
        ):
            text = _kubeconfig(self.settings.server, authority, _USERS[key][0], self.settings.tokens[key])
            _write_private(path, text)

    def _wait(self, name: str, ready: Callable[["ControlPlane"], bool]) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not ready(self):
            log = self._daemons.log(name)
            if not self._daemons.find(name):
                raise ClusterError(f"{name} ended while starting; the last lines of {log}:\n{tail(log)}")
            if time.monotonic() > deadline:
                raise ClusterError(f"{name} is not ready after {_READY_SECONDS:.0f} s; see {log}:\n{tail(log)}")
            time.sleep(0.05)

    def _api_server_ready(self) -> bool:
        return self._apianswers("/readyz")

    def _controllers_ready(self) -> bool:
        return self._apianswers("/api/v1/namespaces/default/serviceaccounts/default")

    def _apianswers(self, path: str) -> bool:
        context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
        headers = {"Authorization": f"Bearer {self.settings.tokens['admin']}"}
        return answers(urllib.request.Request(f"{self.settings.server}{path}", headers=headers), context)

    def _etcd_ready(self) -> bool:
        context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
        context.load_cert_chain(self.pki / "apiserver-node-client.crt", self.pki / "apiserver-node-client.key")
        return answers(urllib.request.Request(f"https://127.0.0.1:{self.settings.etcd_port}/health"), context)


_READY: dict[str, Callable[[ControlPlane], bool]] = {
    "etcd": ControlPlane._etcd_ready,
    "kube-apiserver": ControlPlane._api_server_ready,
}


def _kubeconfig(server: str, authority: str, user: str, token: str) -> str:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fairlead-local",
        "clusters": [{"name": "fairlead-local", "cluster": {"server": server, "certificate-authority": authority}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "fairlead-local", "context": {"cluster": "fairlead-local", "user": user}}],
    }
    return json.dumps(document, indent=1)  # JSON is YAML


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def answers(request: urllib.request.Request, context: ssl.SSLContext | None = None) -> bool:
    """Return True if a server answers a request with 200."""
    # no proxy: the machine's proxy settings are not for loopback
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(request, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
