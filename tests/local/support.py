"""Helpers for a local cluster: kubectl, and pods whose image is the test environment."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead_cluster.base.home import Home, default_home
from fairlead_cluster.local.cluster import down, up

from tests.support.reader import list_objects, read_object

Object = dict[str, Any]
IMAGE = "fairlead/test:1"
# stops a cluster when the test run ends, however it ends: the pipe is then closed
_GUARD = (
    "import sys, pathlib; from fairlead_cluster.local.cluster import down; "
    "sys.stdin.read(); down(pathlib.Path(sys.argv[1]), purge=True)"
)


def prepare_home(folder: Path) -> Path:
    """Make a folder a FAIRLEAD_HOME that shares the Kubernetes binary; raise AssertionError if there is none."""
    home, built = Home(folder), Home(default_home())
    if not built.kube.exists():
        raise AssertionError(f"{built.kube}: no such file, expected the Kubernetes binary; run `fairlead setup`")
    home.bin.mkdir()
    for name in ("kube", "kubectl"):
        (home.bin / name).symlink_to(built.bin / name)
    (home.root / "images.json").write_text(json.dumps({"fairlead/test": sys.prefix}))
    return home.root


@contextmanager
def started_cluster(folder: Path) -> "Iterator[LocalCluster]":
    """Run a local cluster with the operator and the components' environments in a new folder during the block."""
    folder.mkdir()
    home = Home(prepare_home(folder))
    home.envs.symlink_to(Home(default_home()).envs)
    guard = guard_cluster(home.root)
    try:
        up(home.root)
        yield LocalCluster(home.root)
    finally:
        down(home.root, purge=True)
        guard.communicate(timeout=60)


def guard_cluster(home: Path) -> "subprocess.Popen[bytes]":
    """Start a process that stops the cluster of a home when this process ends, or when it is told so (communicate)."""
    return subprocess.Popen([sys.executable, "-c", _GUARD, home], stdin=subprocess.PIPE, start_new_session=True)


@dataclass(frozen=True)
class LocalCluster:
    """A running local cluster."""

    home: Path

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.home / "cluster" / "kubeconfig"

    def kubectl(self, *words: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl and return its output."""
        argv = [str(self.home / "bin" / "kubectl"), "--kubeconfig", str(self.kubeconfig), *words]
        result = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=120)
        if check and result.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(words)}: {result.stderr}")
        return result.stdout if check else result.stdout + result.stderr

    def apply(self, *objects: Object) -> None:
        """Create objects."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(items))

    def get(self, kind: str, name: str) -> Object:
        """Return an object."""
        found = read_object(self.kubeconfig, kind, name, "default")
        assert found, f"no {kind} {name}"
        return found

    def list(self, kind: str, labels: str) -> "list[Object]":
        """Return the objects of a kind that have these labels."""
        return list_objects(self.kubeconfig, kind, "default", labels)

    def wait(self, pod: str, holds: Callable[[Object], bool], seconds: float = 60) -> Object:
        """Wait until `holds` returns True for a pod and return it."""
        deadline = time.monotonic() + seconds
        while not holds(found := self.get("pod", pod)):
            if time.monotonic() > deadline:
                raise AssertionError(f"pod {pod} after {seconds} s: {json.dumps(found['status'], indent=1)}")
            time.sleep(0.1)
        return found

    def finished(self, pod: str) -> Object:
        """Wait until a pod has finished and return its container's terminated state."""
        found = self.wait(pod, lambda pod: pod["status"]["phase"] in ("Succeeded", "Failed"))
        return dict(container(found)["state"]["terminated"])

    def running(self, pod: str) -> Object:
        """Wait until a pod is ready and return it."""
        return self.wait(pod, ready)


def make_pod(name: str, *command: str, spec: Object | None = None, **container: Any) -> Object:
    """Return a pod with one container that is never restarted."""
    body = {"name": "main", "image": IMAGE, "command": list(command)} | container
    meta = {"name": name, "namespace": "default", "labels": {"app": name}}
    defaults = {"restartPolicy": "Never", "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 5}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": defaults | {"containers": [body]} | (spec or {}),
    }


def make_service(name: str, *, headless: bool = False, **spec: Any) -> Object:
    """Return a Service of the pods labeled `app: <name>`."""
    body = {"selector": {"app": name}, "ports": [{"port": 8080}]} | ({"clusterIP": "None"} if headless else {})
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": body | spec,
    }


def container(pod: Object) -> Object:
    """Return the status of a pod's first container; empty states if there is none yet."""
    return dict((pod["status"].get("containerStatuses") or [{"state": {}, "restartCount": 0}])[0])


def waiting(pod: Object, reason: str) -> bool:
    """Return whether a pod's first container waits for this reason."""
    return bool(container(pod)["state"].get("waiting", {}).get("reason") == reason)


def ready(pod: Object) -> bool:
    """Return whether a pod's Ready condition is True."""
    conditions = pod["status"].get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


HTTP_SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ready = self.path != "/ready" or os.path.exists(os.environ.get("READY_FILE", "/"))
        self.send_response(200 if ready else 503); self.end_headers()
        self.wfile.write(os.environ["HOSTNAME"].encode())
http.server.ThreadingHTTPServer((os.environ["FAIRLEAD_BIND_ADDRESS"], 8080), Handler).serve_forever()
"""
"""A server that returns its pod's name; `/ready` fails until the file in READY_FILE exists."""
