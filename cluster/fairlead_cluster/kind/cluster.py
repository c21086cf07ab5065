"""The kind cluster itself: created from kind-config.yaml, checked, deleted."""

import json
import os
import subprocess
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.home import CHECKOUT, Home
from fairlead_cluster.base.steps import StepLog
from fairlead_cluster.kind import programs
from fairlead_cluster.kind.ownership import NodeFacts, Record, is_ours, may_remove_network, read_nodes, read_record

NAME = "fairlead"
NETWORK = "kind"
CONFIG = CHECKOUT / "kind-config.yaml"
_WAIT = "--timeout=180s"


@dataclass(frozen=True)
class Cluster:
    """The kind cluster of one FAIRLEAD_HOME; its kubeconfig is a separate file, never the user's."""

    home: Home

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.home.root / "kind" / "kubeconfig"

    @property
    def nodes(self) -> list[str]:
        """The containers of its nodes, the control plane first."""
        label = f"label=io.x-k8s.kind.cluster={NAME}"
        return sorted(_output(["docker", "ps", "--all", "--filter", label, "--format", "{{.Names}}"]).split())

    @property
    def running(self) -> bool:
        """Return True if all its nodes run and its API server answers."""
        nodes = self.nodes
        if not nodes or not self.kubeconfig.exists():
            return False
        states = _output(["docker", "inspect", "--format", "{{.State.Running}}", *nodes]).split()
        return set(states) == {"true"} and self.kubectl("get", "--raw", "/readyz", "--request-timeout=5s") == "ok"

    @property
    def ours(self) -> bool:
        """Return True if this home recorded that it made the nodes; others may create theirs in an engine of ours."""
        return is_ours(self._read_record(), self._facts())

    def check_ours(self) -> None:
        """Raise SetupError if another home, or the user, made a cluster of this name."""
        if self.nodes and not self.ours:
            raise SetupError(
                f"a kind cluster named {NAME} exists that FAIRLEAD_HOME={self.home.root} did not make. Its containers: "
                f"{', '.join(self.nodes)}. Use the home that made it, or delete it: kind delete cluster --name {NAME}"
            )

    def create(self, image: str | None, log: StepLog) -> None:
        """Create it, from `image` or kind's own, and return when both nodes, DNS and the network are ready."""
        self.check_ours()
        self.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        made_network = not _output(["docker", "network", "inspect", NETWORK])
        record = Record(datetime.now(UTC), made_network or bool((old := self._read_record()) and old.made_network))
        self._write_record(record)
        words = ["create", "cluster", "--name", NAME, "--config", str(CONFIG)]
        words += ["--image", image] if image else []
        try:
            self._kind(log, *words, "--retain")
            kubectl = ["docker", "exec", self.nodes[0], *_KUBECTL]
            log.run([*kubectl, "wait", "node", "--all", "--for=condition=Ready", _WAIT])
            log.run([*kubectl, "--namespace=kube-system", "rollout", "status", _WAIT, "deployment/coredns"])
            self._write_record(replace(record, nodes=tuple(node.id for node in self._facts())))
        except SetupError:
            self._save_logs(log)
            self.delete(log)
            raise

    def delete(self, log: StepLog) -> None:
        """Delete its containers and volumes, and kind's network if `create` made it and no container uses it."""
        self.check_ours()
        if self.nodes:
            self._kind(log, "delete", "cluster", "--name", NAME)
        self.kubeconfig.unlink(missing_ok=True)
        # `network inspect` does not name stopped containers, which need it to start again
        users = _output(["docker", "ps", "--all", "--quiet", "--filter", f"network={NETWORK}"]).split()
        exists = bool(_output(["docker", "network", "inspect", NETWORK]))
        if exists and may_remove_network(self._read_record(), users):
            log.run(["docker", "network", "rm", NETWORK])
        if not users:
            self._record.unlink(missing_ok=True)

    @property
    def _record(self) -> Path:
        return self.home.root / "kind" / "cluster.json"

    def _read_record(self) -> Record | None:
        return read_record(self._record.read_text()) if self._record.exists() else None

    def _write_record(self, record: Record) -> None:
        self._record.write_text(json.dumps(asdict(record), default=str))

    def _facts(self) -> list[NodeFacts]:
        nodes = self.nodes
        return read_nodes(_output(["docker", "inspect", *nodes])) if nodes else []

    def image(self) -> str:
        """Return the image of its nodes."""
        return _output(["docker", "inspect", "--format", "{{.Config.Image}}", self.nodes[0]]).strip()

    def kubectl(self, *words: str) -> str:
        """Run kubectl on the control plane node and return its output; empty when it failed."""
        return _output(["docker", "exec", self.nodes[0], *_KUBECTL, *words])

    def _kind(self, log: StepLog, *words: str) -> None:
        program = programs.module_path(self.home, programs.KIND)
        environment = {"KUBECONFIG": str(self.kubeconfig), "KIND_EXPERIMENTAL_PROVIDER": "docker"}
        log.run([program, *words], cwd=CONFIG.parent, env={**os.environ, **environment})

    def _save_logs(self, log: StepLog) -> None:
        folder = self.home.logs / "kind-failed"
        program = programs.module_path(self.home, programs.KIND)
        subprocess.run([program, "export", "logs", folder, "--name", NAME], capture_output=True)
        with log.path.open("a") as file:
            file.write(f"the nodes' logs are in {folder}\n")


_KUBECTL = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf")


def _output(words: list[str]) -> str:
    result = subprocess.run(words, capture_output=True, text=True)
    return result.stdout if result.returncode == 0 else ""
