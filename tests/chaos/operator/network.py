"""What is known of pods and Services on the simulated nodes: which pods answer at a Service's address."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fairlead.core import names

Object = dict[str, Any]


class Gone(Exception):
    """The pod was deleted."""


@dataclass
class Network:
    """Pods by uid, and the Services of deployments by address."""

    pods: dict[str, Object] = field(default_factory=dict)
    services: dict[str, Object] = field(default_factory=dict)

    def find_selected(self, service: Object) -> list[Object]:
        """Return the ready pods that a Service selects."""
        namespace, selector = service["metadata"]["namespace"], service["spec"]["selector"].items()
        return [
            pod
            for pod in self.pods.values()
            if pod["metadata"]["namespace"] == namespace
            and selector <= pod["metadata"].get("labels", {}).items()
            and "deletionTimestamp" not in pod["metadata"]
            and _is_ready(pod)
        ]

    def find_behind(self, address: str) -> list[Object]:
        """Return the ready pods behind a Service's address; none if there is no such Service."""
        service = self.services.get(address)
        return self.find_selected(service) if service else []

    def list_entrances(self) -> Iterator[Object]:
        """Yield the Services of the deployments themselves, to which clients send requests."""
        for service in list(self.services.values()):
            meta = service["metadata"]
            if meta["labels"][names.DEPLOYMENT] == meta["name"]:
                yield service


def _is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any((condition["type"], condition["status"]) == ("Ready", "True") for condition in conditions)
