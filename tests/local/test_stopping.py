"""A cluster that is stopped keeps its objects; commands at once, private ports, references that are gone."""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fairlead_cluster.base.daemons import Daemons
from fairlead_cluster.local.cluster import down, status, up
from fairlead_cluster.local.settings import load_settings

from tests.local.support import LocalCluster, container, make_pod, ready


def config_map(name: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": {"a": "1"},
    }


def refer_to(name: str) -> list[dict[str, object]]:
    """Return a container's variables, of which one is in this ConfigMap."""
    return [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": name, "key": "a"}}}]


def restart_node_agent(cluster: LocalCluster) -> None:
    """Replace the node agent: the new one does not know the environments in which containers were started."""
    Daemons(cluster.home / "cluster" / "processes", detached=True).stop(["node"], 10)
    assert up(cluster.home, operator=False).up


def test_two_commands_at_once_start_one_cluster_and_down_keeps_its_objects(make_home: Callable[[], Path]) -> None:
    home = make_home()
    with ThreadPoolExecutor(2) as pool:
        assert all(found.up for found in pool.map(lambda _: up(home, operator=False), range(2)))
    cluster = LocalCluster(home)
    cluster.apply(config_map("kept"), make_pod("worker", "sleep", "600", spec={"restartPolicy": "Always"}))
    before = cluster.running("worker")
    down(home)
    assert not any(status(home).running.values())
    assert up(home, operator=False).up
    assert cluster.get("configmap", "kept")["data"] == {"a": "1"}
    after = cluster.running("worker")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    down(home, purge=True)
    assert not (home / "cluster" / "kubeconfig").exists()
    assert up(home, operator=False).up
    assert "NotFound" in cluster.kubectl("get", "configmap", "kept", check=False)


def test_etcd_answers_nobody_without_the_clusters_certificate(cluster: LocalCluster) -> None:
    settings = load_settings(cluster.home / "cluster")
    context = ssl.create_default_context(cafile=str(cluster.home / "cluster" / "pki" / "ca.crt"))
    for port in (settings.etcd_port, settings.etcd_peer_port):
        for url in (f"http://127.0.0.1:{port}/version", f"https://127.0.0.1:{port}/version"):
            with pytest.raises((urllib.error.URLError, OSError)):
                urllib.request.urlopen(url, timeout=10, context=context if url.startswith("https") else None)


def test_a_pre_stop_hook_whose_references_are_gone_does_not_hold_up_the_pod(cluster: LocalCluster) -> None:
    hook = {"preStop": {"exec": {"command": ["true"]}}}
    cluster.apply(config_map("leaves"), make_pod("hooked", "sleep", "600", env=refer_to("leaves"), lifecycle=hook))
    cluster.running("hooked")
    cluster.kubectl("delete", "configmap", "leaves")
    restart_node_agent(cluster)
    cluster.kubectl("delete", "pod", "hooked", "--timeout=60s")
    log = Daemons(cluster.home / "cluster" / "processes", detached=True).log("node").read_text()
    assert "FailedPreStopHook: preStop hook of main: " in log


def test_a_pre_stop_hook_that_fails_is_an_event_and_holds_up_nothing(cluster: LocalCluster) -> None:
    hooks: dict[str, dict[str, object]] = {
        "hook-exits": {"exec": {"command": ["sh", "-c", "exit 3"]}},
        "hook-is-missing": {"exec": {"command": ["no-such-command"]}},
        "hook-is-refused": {"httpGet": {"port": 1, "path": "/drain"}},
        "hook-takes-long": {"exec": {"command": ["sleep", "60"]}},
        "hook-succeeds": {"exec": {"command": ["true"]}},
    }
    for name, hook in hooks.items():
        cluster.apply(make_pod(name, "sleep", "600", lifecycle={"preStop": hook}))
    for name in hooks:
        cluster.running(name)
    cluster.kubectl("delete", "pod", *hooks, "--timeout=60s")
    found = json.loads(cluster.kubectl("get", "events", "--field-selector=reason=FailedPreStopHook", "-o", "json"))
    messages = {item["involvedObject"]["name"]: item["message"] for item in found["items"]}
    assert messages.keys() & hooks.keys() == hooks.keys() - {"hook-succeeds"}
    assert messages["hook-exits"] == "preStop hook of main: command exited 3"
    assert messages["hook-is-missing"] == "preStop hook of main: command exited 127"
    assert "/drain: " in messages["hook-is-refused"]
    assert messages["hook-takes-long"] == "preStop hook of main: not completed within the grace period of 5 s"


def test_a_running_pod_whose_references_are_gone_is_attended_by_a_new_node_agent(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    ends = f"until [ -e {tmp_path}/end ]; do sleep 0.1; done; exit 7"
    cluster.apply(config_map("vanishes"), make_pod("outlives", "sh", "-c", ends, env=refer_to("vanishes")))
    cluster.running("outlives")
    cluster.kubectl("delete", "configmap", "vanishes")
    restart_node_agent(cluster)
    (tmp_path / "end").touch()
    assert cluster.finished("outlives")["exitCode"] == 7


def test_an_exec_probe_whose_references_are_gone_fails_until_they_are_back(cluster: LocalCluster) -> None:
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1, "failureThreshold": 1}
    pod = make_pod("probed", "sleep", "600", env=refer_to("returns"), readinessProbe=probe)
    cluster.apply(config_map("returns"), pod)
    cluster.running("probed")
    cluster.kubectl("delete", "configmap", "returns")
    restart_node_agent(cluster)
    cluster.wait("probed", lambda pod: not ready(pod))
    cluster.apply(config_map("returns"))
    assert container(cluster.running("probed"))["restartCount"] == 0
