"""The scheduler with the coscheduling plugin, beside the default one, with the permissions of its manifests."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.schedulers.programs import COSCHEDULING
from tests.support.api_server import Kubectl, await_crds, wait_for

SCHEDULER = "scheduler-plugins-scheduler"
"""As the chart of scheduler-plugins names it."""
_RETRY_SECONDS = 10
"""How often the scheduler tries pods again that it has found unschedulable; the default is 5 minutes."""
_RULES = "system:kube-scheduler:plugins"


@contextmanager
def running_coscheduling(kubectl: Kubectl, folder: Path) -> Iterator[None]:
    """Install PodGroups and run the scheduler during the block."""
    folder.mkdir()
    manifests = COSCHEDULING.find_module() / "manifests"
    kubectl("apply", "--server-side", "-f", str(manifests / "coscheduling" / "crd.yaml"))
    for obj in yaml.safe_load_all((manifests / "install" / "all-in-one.yaml").read_text()):
        if obj and obj["metadata"]["name"] == _RULES:
            kubectl.apply(obj)
    await_crds(kubectl)
    config = _configure(kubectl, folder)
    # the plugin is not told when pods end: what it has rejected waits for a new pod, or for this time
    retry = f"--pod-max-in-unschedulable-pods-duration={_RETRY_SECONDS}s"
    words = [COSCHEDULING.target, f"--config={config}", "--secure-port=0", retry]
    with (folder / "scheduler.log").open("ab") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            wait_for(lambda: _has_started(process, folder), "the start of the scheduler", 60)
            yield
        finally:
            process.terminate()
            process.wait(timeout=60)


def _has_started(process: subprocess.Popen[bytes], folder: Path) -> bool:
    log = (folder / "scheduler.log").read_text()
    assert process.poll() is None, log
    return "Starting Kubernetes Scheduler" in log


def _configure(kubectl: Kubectl, folder: Path) -> Path:
    """Write the scheduler's configuration: the module's own for the plugin, under a name of its own."""
    path = COSCHEDULING.find_module() / "manifests" / "coscheduling" / "scheduler-config.yaml"
    config = yaml.safe_load(path.read_text())
    config["clientConnection"]["kubeconfig"] = str(kubectl.kubeconfig.with_name("scheduler.kubeconfig"))
    config["profiles"][0]["schedulerName"] = SCHEDULER
    written = folder / "config.yaml"
    written.write_text(yaml.safe_dump(config))
    return written
