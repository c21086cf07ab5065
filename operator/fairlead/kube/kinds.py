"""The kinds that Fairlead uses and the operator's verbs on them, from which its RBAC is generated."""

from dataclasses import dataclass
from typing import NamedTuple

from fairlead.api.group import GROUP, VERSION


@dataclass(frozen=True)
class Kind:
    """A Kubernetes kind with the operator's verbs on it and its subresources."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    verbs: tuple[str, ...] = ()
    """The operator's verbs; empty for kinds that only the local cluster or the CLI use."""
    subresources: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(subresource, verbs) pairs."""

    @property
    def api_version(self) -> str:
        """Return `group/version`, or only `version` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Return the URL path of a collection or an object."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/" + "/".join(parts)


class Key(NamedTuple):
    """The identity of a custom resource."""

    kind: str
    namespace: str
    name: str


_WATCH = ("get", "list", "watch")
_STATUS = (("status", ("patch",)),)

TRAINING_JOB = Kind(
    GROUP, VERSION, "trainingjobs", "TrainingJob", verbs=(*_WATCH, "create", "patch", "delete"), subresources=_STATUS
)
MODEL_DEPLOYMENT = Kind(GROUP, VERSION, "modeldeployments", "ModelDeployment", verbs=_WATCH, subresources=_STATUS)
SWEEP = Kind(GROUP, VERSION, "sweeps", "Sweep", verbs=(*_WATCH, "delete"), subresources=_STATUS)
POD = Kind("", "v1", "pods", "Pod", verbs=(*_WATCH, "create", "delete"))
SERVICE = Kind("", "v1", "services", "Service", verbs=(*_WATCH, "create", "patch", "delete"))
SECRET = Kind("", "v1", "secrets", "Secret", verbs=("get", "create"))
CONFIG_MAP = Kind("", "v1", "configmaps", "ConfigMap", verbs=(*_WATCH, "create", "patch", "delete"))
DEPLOYMENT = Kind("apps", "v1", "deployments", "Deployment", verbs=(*_WATCH, "create", "patch", "delete"))
CONTROLLER_REVISION = Kind(
    "apps", "v1", "controllerrevisions", "ControllerRevision", verbs=(*_WATCH, "create", "delete")
)
AUTOSCALER = Kind(
    "autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler",
    verbs=(*_WATCH, "create", "patch", "delete"),
)  # fmt: skip
DISRUPTION_BUDGET = Kind(
    "policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", verbs=(*_WATCH, "create", "patch", "delete")
)
NETWORK_POLICY = Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", verbs=("get", "create"))
POD_GROUP = Kind("scheduling.x-k8s.io", "v1alpha1", "podgroups", "PodGroup", verbs=("get", "create", "patch"))
SELDON_DEPLOYMENT = Kind(
    "machinelearning.seldon.io", "v1", "seldondeployments", "SeldonDeployment", verbs=(*_WATCH, "create", "patch")
)
_ROUTE = (*_WATCH, "create", "patch", "delete")
INGRESS = Kind("networking.k8s.io", "v1", "ingresses", "Ingress", verbs=_ROUTE)
HTTP_ROUTE = Kind("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute", verbs=_ROUTE)
GRPC_ROUTE = Kind("gateway.networking.k8s.io", "v1", "grpcroutes", "GRPCRoute", verbs=_ROUTE)
VIRTUAL_SERVICE = Kind("networking.istio.io", "v1", "virtualservices", "VirtualService", verbs=_ROUTE)
EVENT = Kind("events.k8s.io", "v1", "events", "Event", verbs=("create",))
LEASE = Kind("coordination.k8s.io", "v1", "leases", "Lease", verbs=("get", "create", "update"))
NAMESPACE = Kind("", "v1", "namespaces", "Namespace", namespaced=False)
NODE = Kind("", "v1", "nodes", "Node", namespaced=False)
CRD = Kind("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)

WATCHED = (TRAINING_JOB, MODEL_DEPLOYMENT, SWEEP)
"""The custom resources that the operator reconciles."""

ROUTES = (INGRESS, HTTP_ROUTE, GRPC_ROUTE, VIRTUAL_SERVICE)
"""The kinds of routes from outside of the cluster, which are watched only where they are used."""

OPERATOR_KINDS = (
    TRAINING_JOB,
    MODEL_DEPLOYMENT,
    SWEEP,
    POD,
    SERVICE,
    SECRET,
    CONFIG_MAP,
    DEPLOYMENT,
    CONTROLLER_REVISION,
    AUTOSCALER,
    DISRUPTION_BUDGET,
    NETWORK_POLICY,
    POD_GROUP,
    SELDON_DEPLOYMENT,
    *ROUTES,
    EVENT,
    LEASE,
)
"""The kinds that the generated Role grants access to."""
