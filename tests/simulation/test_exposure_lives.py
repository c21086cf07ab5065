"""Simulated lives of routes: wherever the operator is killed, they become those of the spec, and no host has two."""

import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from fairlead.api.model_deployment import ModelDeployment, ModelDeploymentStatus
from fairlead.core import names
from fairlead.core.model_deployment.claims import Claim, read_claim
from fairlead.core.model_deployment.exposure_plan import with_exposure
from fairlead.core.model_deployment.observed import ObservedDeployment, ObservedRoutes
from fairlead.core.plan import Plan
from fairlead.core.settings import Settings
from fairlead.core.views import ChildView, RouteView

from tests.support.resources import Object, make_deployment

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SETTINGS = Settings(route_hosts="*=*")
SHARED, OWN = "shared.example.com", "own.example.com"
SPECS: tuple[Object | None, ...] = (
    None,
    {"hosts": [SHARED], "ingress": {}},
    {"hosts": [SHARED, OWN], "grpcHosts": ["grpc.example.com"], "gateway": {"parentRefs": [{"name": "public"}]}},
    {"hosts": [OWN], "istio": {"gateways": ["infra/public"]}},
    {"hosts": ["{name}.example.com"], "grpcHosts": [SHARED], "ingress": {"className": "nginx"}},
)


class Killed(Exception):
    """The operator was killed before a write."""


@dataclass
class Cluster:
    """Deployments that serve, and their routes. The operator may be killed at any write."""

    random: random.Random
    deployments: dict[str, ModelDeployment] = field(default_factory=dict)
    routes: dict[tuple[str, str, str], RouteView] = field(default_factory=dict)
    """By the deployment, the kind and the name."""
    lose: float = 0.0
    """The probability that the operator is killed before a write."""
    writes: int = 0

    def edit(self, name: str, expose: Object | None) -> None:
        changes: dict[str, Any] = {}
        if expose is not None:
            changes["spec__expose"] = expose | {"hosts": [host.format(name=name) for host in expose["hosts"]]}
        # the namespaces differ, the order of the ages is that of the names
        metadata = {"name": name, "namespace": name, "creationTimestamp": f"2026-0{ord(name) - 96}-01T00:00:00Z"}
        made = make_deployment(metadata=metadata, **changes)
        known = self.deployments.get(name)
        self.deployments[name] = made.model_copy(update={"status": known.status}) if known else made

    def reconcile(self, name: str) -> float | None:
        deployment = self.deployments[name]
        views = tuple(view for key, view in sorted(self.routes.items()) if key[0] == name)
        claims = tuple(claim for other in self.deployments if other != name and (claim := self._read_claim(other)))
        observed = ObservedDeployment(services=(ChildView(name, "u"),), routes=ObservedRoutes(views, claims=claims))
        plan = with_exposure(Plan(deployment.status), deployment, observed, SETTINGS, NOW)
        try:
            self._execute(name, plan)
        except Killed:
            return 0.0
        return plan.requeue_after

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.reconcile(self.random.choice(sorted(self.deployments)))

    def _read_claim(self, name: str) -> Claim | None:
        return read_claim(self.deployments[name].model_dump(mode="json", by_alias=True))

    def _execute(self, name: str, plan: Plan) -> None:
        status, deployment = plan.status, self.deployments[name]
        assert isinstance(status, ModelDeploymentStatus)
        if status != deployment.status:
            self._write()
            self.deployments[name] = deployment.model_copy(update={"status": status})
        for deletion in plan.delete_counted:
            self._write()
            del self.routes[name, deletion.kind, deletion.name]
        for route in plan.apply_last:
            self._write()
            self._apply(name, route)

    def _apply(self, name: str, route: Object) -> None:
        meta, spec = route["metadata"], route["spec"]
        rules = [rule["host"] for rule in spec.get("rules", []) if "host" in rule]
        hosts = tuple(rules or spec.get("hostnames") or spec["hosts"])
        key = (name, route["kind"], meta["name"])
        known = self.routes.get(key) or RouteView(route["kind"], meta["name"], f"uid-{len(self.routes)}")
        self.routes[key] = replace(known, hosts=hosts, applied_hash=meta["annotations"][names.APPLIED_HASH])
        for other in self.routes.items():
            assert other[0][0] == name or not set(hosts) & set(other[1].hosts), "a host has routes of two deployments"

    def _write(self) -> None:
        if self.random.random() < self.lose:
            raise Killed
        self.writes += 1


def exposed(cluster: Cluster, name: str) -> str:
    found = [each.reason for each in cluster.deployments[name].status.conditions if each.type == "Exposed"]
    return found[0] if found else ""


@pytest.mark.parametrize("seed", range(60))
def test_routes_become_those_of_the_spec_and_no_host_has_two(seed: int) -> None:
    cluster = Cluster(random.Random(seed), lose=0.2)
    for name in ("a", "b", "c"):
        cluster.edit(name, cluster.random.choice(SPECS))
    for _ in range(8):
        cluster.run(cluster.random.randrange(12))
        cluster.edit(cluster.random.choice("abc"), cluster.random.choice(SPECS))
    cluster.lose = 0
    cluster.run(120)
    before = cluster.writes
    cluster.run(30)
    assert cluster.writes == before, "nothing is written once the routes are those of the specs"
    check_end(cluster)


def check_end(cluster: Cluster) -> None:
    for name, deployment in cluster.deployments.items():
        expose, exposure = deployment.spec.expose, deployment.status.exposure
        routes = {key[1]: view for key, view in cluster.routes.items() if key[0] == name}
        if expose is None:
            assert (routes, exposure, exposed(cluster, name)) == ({}, None, "")
        elif exposed(cluster, name) != "HostTaken":
            assert exposure is not None
            hosts = {host for key, view in cluster.routes.items() if key[0] == name for host in view.hosts}
            assert hosts == {*expose.hosts, *expose.grpc_hosts} == set(exposure.hosts)
            assert routes.keys() == set(exposure.kinds)
        else:
            others = [other for key, other in cluster.routes.items() if key[0] != name]
            assert {*expose.hosts, *expose.grpc_hosts} & {host for view in others for host in view.hosts}


@pytest.mark.parametrize("first", ["a", "b"])
def test_a_host_goes_to_the_next_deployment_when_it_is_free(first: str) -> None:
    second = {"a": "b", "b": "a"}[first]
    cluster = Cluster(random.Random(1))
    for name in (first, second):
        cluster.edit(name, SPECS[1])
        while cluster.reconcile(name) in (0.0, 2.0):
            pass
    assert (exposed(cluster, first), exposed(cluster, second)) == ("RoutePending", "HostTaken")
    cluster.edit(first, None)
    cluster.run(20)
    assert (exposed(cluster, first), exposed(cluster, second)) == ("", "RoutePending")
