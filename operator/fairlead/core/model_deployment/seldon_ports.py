"""The containers of a predictor that runs in Seldon Core, and their ports, which share one pod."""

from collections import Counter

from fairlead.api.graph import GraphNode
from fairlead.api.model_deployment import Predictor

FIRST_HTTP, FIRST_GRPC = 7100, 7400
"""The first ports of our graph servers. Seldon Core numbers those of other containers from 9000, 9500 and 6000."""
_EXECUTOR = (8000, 5001)
"""The ports of Seldon's executor."""


def list_served(predictor: Predictor) -> list[GraphNode]:
    """Return the nodes that graph servers run, each in a container of its own."""
    return [node for node in predictor.graph.walk() if node.runs_inside]


def assign_ports(predictor: Predictor) -> dict[str, tuple[int, int]]:
    """Return the ports of our graph servers for HTTP and gRPC, by the node's name."""
    served = list_served(predictor)
    return {node.name: (FIRST_HTTP + at, FIRST_GRPC + at) for at, node in enumerate(served)}


def find_shared_port(predictor: Predictor) -> int | None:
    """Return a port that nodes name and that another container of the pod has."""
    named = [node.endpoint.service_port for node in predictor.graph.walk() if node.endpoint]
    ours = [port for ports in assign_ports(predictor).values() for port in ports]
    counts = Counter([*_EXECUTOR, *ours, *(port for port in named if port)])
    return next((port for port in named if port and counts[port] > 1), None)


def count_containers(predictor: Predictor) -> int:
    """Return the number of containers of a pod, with Seldon's executor."""
    specs = [*(component.spec for component in predictor.component_specs), predictor.server_spec]
    users = sum(len(spec.containers or ()) + len(spec.init_containers or ()) for spec in specs if spec)
    return 1 + len(list_served(predictor)) + users
