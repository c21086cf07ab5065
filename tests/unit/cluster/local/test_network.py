"""The hosts file and the Services' routes."""

from typing import Any

from fairlead_cluster.local.node.names import build_hosts, search_list
from fairlead_cluster.local.node.services import derive_routes


def _pod(name: str, address: str, *, ready: bool = True, phase: str = "Running", **spec: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    ports = [{"name": "http", "containerPort": 9000}]
    return {
        "metadata": {"name": name, "namespace": "ns", "labels": {"app": "a", "pod": name}},
        "spec": {"containers": [{"name": "main", "ports": ports}], **spec},
        "status": {"podIP": address, "phase": phase, "conditions": conditions},
    }


def _service(name: str, ip: str = "127.96.0.9", namespace: str = "ns", **spec: Any) -> dict[str, Any]:
    body = {"clusterIP": ip, "selector": {"app": "a"}, "ports": [{"port": 80, "targetPort": "http"}], **spec}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": body}


def test_a_service_with_an_address_has_one_name() -> None:
    assert build_hosts([_service("web")], [_pod("p", "127.64.0.1")]) == "127.96.0.9 web.ns.svc.cluster.local\n"


def test_a_headless_service_names_its_ready_pods() -> None:
    pods = [_pod("p", "127.64.0.1"), _pod("q", "127.64.0.2", ready=False), _pod("r", "127.64.0.3", phase="Failed")]
    assert build_hosts([_service("web", "None")], pods) == "127.64.0.1 web.ns.svc.cluster.local\n"


def test_a_headless_service_names_pods_by_hostname_and_if_asked_before_they_are_ready() -> None:
    pods = [_pod("p", "127.64.0.1", ready=False, hostname="h", subdomain="web")]
    hosts = build_hosts([_service("web", "None", publishNotReadyAddresses=True)], pods)
    assert hosts.splitlines() == [
        "127.64.0.1 h.web.ns.svc.cluster.local",
        "127.64.0.1 web.ns.svc.cluster.local",
    ]


def test_short_names_are_completed_in_the_order_of_kubernetes() -> None:
    assert search_list("ns") == "ns.svc.cluster.local svc.cluster.local cluster.local"


def test_routes_lead_to_ready_pods_of_the_same_namespace() -> None:
    pods = [_pod("p", "127.64.0.1"), _pod("q", "127.64.0.2", ready=False), _pod("r", "127.64.0.3")]
    assert derive_routes([_service("web")], pods) == {
        ("127.96.0.9", 80): [("127.64.0.1", 9000), ("127.64.0.3", 9000)],
    }
    assert derive_routes([_service("web", namespace="other")], pods) == {("127.96.0.9", 80): []}


def test_a_port_without_target_leads_to_the_same_number() -> None:
    routes = derive_routes([_service("web", ports=[{"port": 8080}])], [_pod("p", "127.64.0.1")])
    assert routes == {("127.96.0.9", 8080): [("127.64.0.1", 8080)]}


def test_a_pod_that_is_being_deleted_gets_no_new_connections() -> None:
    pod = _pod("p", "127.64.0.1")
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert derive_routes([_service("web")], [pod]) == {("127.96.0.9", 80): []}


def test_services_without_address_or_selector_or_tcp_are_not_routed() -> None:
    udp = [{"port": 53, "protocol": "UDP"}]
    services = [_service("a", "None"), _service("b", selector=None), _service("c", ports=udp)]
    assert derive_routes(services, []) == {}
