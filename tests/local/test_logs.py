"""`kubectl logs` against the process node."""

import json
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.local.support import LocalCluster, container, make_pod

TICKS = "echo tick 1; until [ -e {go} ]; do sleep 0.1; done; for i in 2 3 4 5; do echo tick $i; done"


def test_logs_hold_what_a_container_printed(cluster: LocalCluster) -> None:
    cluster.apply(make_pod("prints", "sh", "-c", "seq 5; echo oops >&2"))
    cluster.finished("prints")
    assert cluster.kubectl("logs", "prints") == "1\n2\n3\n4\n5\noops\n"
    assert cluster.kubectl("logs", "prints", "--tail=2") == "5\noops\n"
    assert cluster.kubectl("logs", "prints", "--limit-bytes=3") == "1\n2"


def test_followed_logs_come_as_they_are_written_and_end_with_the_container(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    cluster.apply(make_pod("ticks", "sh", "-c", TICKS.format(go=tmp_path / "go")))
    cluster.wait("ticks", lambda pod: "running" in container(pod)["state"])
    argv = [str(cluster.home / "bin/kubectl"), "--kubeconfig", str(cluster.home / "cluster/kubeconfig")]
    with subprocess.Popen([*argv, "logs", "-f", "ticks"], stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout
        assert follower.stdout.readline() == "tick 1\n"
        assert cluster.get("pod", "ticks")["status"]["phase"] == "Running"
        (tmp_path / "go").touch()
        assert follower.stdout.read() == "tick 2\ntick 3\ntick 4\ntick 5\n"


def test_logs_of_the_run_before_are_kept(cluster: LocalCluster) -> None:
    script = "if [ -e /data/once ]; then echo second; sleep 60; else touch /data/once; echo first; exit 1; fi"
    spec = {"restartPolicy": "Always", "volumes": [{"name": "data", "emptyDir": {}}]}
    mounts = [{"name": "data", "mountPath": "/data"}]
    cluster.apply(make_pod("twice", "sh", "-c", script, spec=spec, volumeMounts=mounts))
    cluster.wait("twice", lambda pod: container(pod)["restartCount"] == 1 and "running" in container(pod)["state"])
    assert cluster.kubectl("logs", "twice", "--previous") == "first\n"
    assert cluster.kubectl("logs", "twice") == "second\n"


def test_only_the_api_server_may_read_logs(cluster: LocalCluster) -> None:
    settings = json.loads((cluster.home / "cluster" / "settings.json").read_text())
    context = ssl._create_unverified_context()
    with pytest.raises(OSError) as rejection:
        urllib.request.urlopen(f"https://127.0.0.1:{settings['node_port']}/containerLogs/a/b/c", context=context).read()
    assert not isinstance(rejection.value, urllib.error.HTTPError)  # the connection is refused, not the request
