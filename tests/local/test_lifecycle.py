"""Pods are deleted gracefully, survive a restart of the node agent and are stopped with the cluster."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

from fairlead_cluster.base.daemons import Daemons
from fairlead_cluster.local.cluster import NODE_AGENT, down, status, up
from fairlead_cluster.local.node.processes import find_processes

from tests.local.support import LocalCluster, container, make_pod

PATIENT = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(1), pathlib.Path(sys.argv[1]).write_text("goodbye"), sys.exit(0)))
print("ready", flush=True)
while True: time.sleep(0.1)
"""
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)


def _await_log(cluster: LocalCluster, pod: str, text: str) -> None:
    cluster.wait(pod, lambda pod: "running" in container(pod)["state"])
    deadline = time.monotonic() + 30
    while text not in cluster.kubectl("logs", pod):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_deleted_pod_gets_its_grace_period(cluster: LocalCluster, tmp_path: Path) -> None:
    cluster.apply(make_pod("polite", "python", "-c", PATIENT, str(tmp_path / "note")))
    _await_log(cluster, "polite", "ready")
    cluster.kubectl("delete", "pod", "polite")
    assert (tmp_path / "note").read_text() == "goodbye"
    assert "NotFound" in cluster.kubectl("get", "pod", "polite", check=False)


def test_a_pod_that_ignores_sigterm_is_killed_after_its_grace_period(cluster: LocalCluster) -> None:
    cluster.apply(make_pod("stubborn", "python", "-c", STUBBORN, spec={"terminationGracePeriodSeconds": 1}))
    _await_log(cluster, "stubborn", "ready")
    (folder,) = (cluster.home / "cluster" / "pods").glob("default_stubborn_*")
    assert find_processes(folder)
    began = time.monotonic()
    cluster.kubectl("delete", "pod", "stubborn")
    assert 1 <= time.monotonic() - began < 15  # and not the 30 s that a pod has by default
    assert not find_processes(folder)


def test_a_pod_deleted_by_force_leaves_no_process(cluster: LocalCluster) -> None:
    cluster.apply(make_pod("forced", "python", "-c", STUBBORN))
    _await_log(cluster, "forced", "ready")
    (folder,) = (cluster.home / "cluster" / "pods").glob("default_forced_*")
    assert find_processes(folder)
    cluster.kubectl("delete", "pod", "forced", "--grace-period=0", "--force")
    deadline = time.monotonic() + 20
    while find_processes(folder):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_killed_node_agent_finds_its_pods_again(cluster: LocalCluster, tmp_path: Path) -> None:
    lives, ends = "sleep 600", f"until [ -e {tmp_path}/end ]; do sleep 0.1; done; exit 7"
    cluster.apply(make_pod("lives", "sh", "-c", lives), make_pod("ends", "sh", "-c", ends))
    before = cluster.running("lives")
    cluster.running("ends")
    (folder,) = (cluster.home / "cluster" / "pods").glob("default_ends_*")
    agent = Daemons(cluster.home / "cluster" / "processes", detached=True).find(NODE_AGENT)
    assert agent
    agent.signal(signal.SIGKILL)
    assert agent.wait(30)
    # this pod's process exits while no agent is running
    (tmp_path / "end").touch()
    deadline = time.monotonic() + 30
    while find_processes(folder):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert cluster.get("pod", "ends")["status"]["phase"] == "Running"
    assert up(cluster.home, operator=False).up
    assert cluster.finished("ends")["exitCode"] == 7
    after = cluster.running("lives")
    assert container(after)["containerID"] == container(before)["containerID"]
    assert container(after)["state"] == container(before)["state"]
    cluster.kubectl("delete", "pod", "lives", "--now")


def test_down_leaves_no_process(make_home: Callable[[], Path]) -> None:
    home = make_home()
    up(home, operator=False)
    cluster = LocalCluster(home)
    cluster.apply(make_pod("worker", "sh", "-c", "sleep 600 & sleep 600"))
    cluster.running("worker")
    assert len(find_processes(home / "cluster" / "pods")) >= 3  # the shim, the shell, and its child
    down(home, purge=True)
    assert not _processes_of(home)
    assert not any(status(home).running.values())
    assert not (home / "cluster" / "kubeconfig").exists()


def _processes_of(home: Path) -> list[str]:
    """Return the command lines of running processes that refer to this home."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            texts = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
        except OSError:
            continue
        if str(home).encode() in texts and b"sys.stdin.read()" not in texts:  # not the test's own guard
            found.append(texts.decode(errors="replace"))
    return found


def test_up_mends_a_cluster_whose_etcd_was_killed(make_home: Callable[[], Path]) -> None:
    home = make_home()
    up(home)
    try:
        cluster = LocalCluster(home)
        process = Daemons(home / "cluster" / "processes", detached=True).find("etcd")
        assert process
        process.signal(signal.SIGKILL)
        time.sleep(1)
        assert not status(home).up
        assert up(home).up
        cluster.apply(make_pod("later", "python", "-c", "pass", spec={"restartPolicy": "Never"}))
        cluster.wait("later", lambda pod: pod["status"].get("phase") == "Succeeded")
    finally:
        down(home, purge=True)
