"""Which hosts belong to which ModelDeployment: two routes of one host would each get some of its requests.

A deployment claims its hosts in its status before it writes a route, so that of two that ask at the same time the
younger one sees the other's claim. A claim ends when the routes do. Only the operator writes a status, so no tenant can
claim what the administrator does not allow.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fairlead.api.model_deployment import ModelDeployment
from fairlead.core.conditions import format_time


@dataclass(frozen=True, slots=True)
class Claim:
    """The hosts that a deployment has."""

    namespace: str
    name: str
    created: str
    """When the deployment was created, in Kubernetes' format."""
    hosts: tuple[str, ...]

    @property
    def age(self) -> tuple[str, str, str]:
        """Return what orders claims, the oldest first."""
        return self.created, self.namespace, self.name


def read_claim(obj: Mapping[str, Any]) -> Claim | None:
    """Return the claim of a ModelDeployment as the API server returns it; None if it has no hosts."""
    hosts = ((obj.get("status") or {}).get("exposure") or {}).get("hosts")
    meta = obj["metadata"]
    if not hosts:
        return None
    return Claim(meta["namespace"], meta["name"], str(meta.get("creationTimestamp") or ""), tuple(hosts))


def find_taken(deployment: ModelDeployment, hosts: Iterable[str], claims: Iterable[Claim]) -> dict[str, Claim]:
    """Return the claims of others on hosts that the deployment may not have, by the host.

    What somebody has is not taken from them; if both have it, the older deployment keeps it.
    """
    meta = deployment.metadata
    created = format_time(meta.creation_timestamp) if meta.creation_timestamp else ""
    held = deployment.status.exposure.hosts if deployment.status.exposure else ()
    own = Claim(meta.namespace, meta.name, created, tuple(held))
    return {
        host: claim
        for host in hosts
        for claim in claims
        if host in claim.hosts and (host not in own.hosts or claim.age < own.age)
    }
