"""Readiness, Services and names on the process node."""

import time
import urllib.request
from pathlib import Path

from tests.local.support import HTTP_SERVER, LocalCluster, container, make_pod, make_service, ready

READINESS = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1}
PORTS = [{"name": "http", "containerPort": 8080}]


def test_readiness_follows_the_probe_both_ways(cluster: LocalCluster, tmp_path: Path) -> None:
    flag = tmp_path / "ready"
    env = [{"name": "READY_FILE", "value": str(flag)}]
    server = make_pod("moody", "python", "-c", HTTP_SERVER, env=env, ports=PORTS, readinessProbe=READINESS)
    cluster.apply(server)
    cluster.wait("moody", lambda pod: "running" in container(pod)["state"])
    time.sleep(1)
    assert not ready(cluster.get("pod", "moody"))
    flag.touch()
    cluster.running("moody")
    flag.unlink()
    cluster.wait("moody", lambda pod: not ready(pod))


def test_a_container_that_fails_its_liveness_probe_starts_again(cluster: LocalCluster) -> None:
    probe = {"exec": {"command": ["sh", "-c", "exit 1"]}, "periodSeconds": 1, "failureThreshold": 1}
    cluster.apply(make_pod("ill", "sleep", "60", livenessProbe=probe, spec={"restartPolicy": "Always"}))
    pod = cluster.wait("ill", lambda pod: container(pod)["restartCount"] > 0)
    assert container(pod)["lastState"]["terminated"]["exitCode"] == 143


def test_a_startup_probe_holds_back_readiness(cluster: LocalCluster, tmp_path: Path) -> None:
    flag = tmp_path / "go"
    probe = {"tcpSocket": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 120}
    script = "import os, sys, time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.05)\n" + HTTP_SERVER
    cluster.apply(make_pod("slow", "python", "-c", script, str(flag), startupProbe=probe))
    pod = cluster.wait("slow", lambda pod: "running" in container(pod)["state"])
    assert not ready(pod) and container(pod)["started"] is False
    flag.touch()
    assert container(cluster.running("slow"))["started"] is True


def test_a_service_passes_connections_on_to_all_ready_pods(cluster: LocalCluster) -> None:
    service = make_service("web", ports=[{"port": 8080, "targetPort": "http"}])
    server = ("python", "-c", HTTP_SERVER)
    pods = [make_pod(name, *server, ports=PORTS, readinessProbe=READINESS) for name in ("web-a", "web-b")]
    unready = make_pod("web-c", "sleep", "60", ports=PORTS, readinessProbe=READINESS)
    for pod in (*pods, unready):
        pod["metadata"]["labels"]["app"] = "web"
    cluster.apply(service, *pods, unready)
    for name in ("web-a", "web-b"):
        cluster.running(name)
    address = cluster.get("service", "web")["spec"]["clusterIP"]
    assert {_get(f"http://{address}:8080/") for _ in range(6)} == {"web-a", "web-b"}


def test_names_of_services_and_pods_resolve_in_pods(cluster: LocalCluster) -> None:
    script = f"import socket, sys\nprint(*[socket.gethostbyname(n) for n in sys.argv[1:]], flush=True)\n{HTTP_SERVER}"
    names = ["vip", "vip.default", "vip.default.svc", "vip.default.svc.cluster.local", "group", "h.group.default.svc"]
    group = make_service("group", headless=True, publishNotReadyAddresses=True)
    member = make_pod("member", "sleep", "60", spec={"hostname": "h", "subdomain": "group"})
    member["metadata"]["labels"]["app"] = "group"
    cluster.apply(make_service("vip"), group, member)
    address = cluster.running("member")["status"]["podIP"]
    cluster.apply(make_pod("asks", "python", "-c", script, *names))
    cluster.running("asks")
    vip = cluster.get("service", "vip")["spec"]["clusterIP"]
    assert cluster.kubectl("logs", "asks").split() == [vip] * 4 + [address] * 2


def test_a_name_that_does_not_exist_fails_as_from_dns(cluster: LocalCluster) -> None:
    script = "import socket; socket.create_connection(('nobody.default.svc', 80))"
    cluster.apply(make_pod("lost", "python", "-c", script))
    assert cluster.finished("lost")["exitCode"] == 1
    assert "gaierror" in cluster.kubectl("logs", "lost")


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as response:
        return str(response.read().decode())
