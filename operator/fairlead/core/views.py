"""Views of children: the fields that planners read, as the cache stores them."""

from dataclasses import dataclass
from datetime import datetime

from fairlead.api.base import ArtifactRef


@dataclass(frozen=True, slots=True)
class PodView:
    """The fields of a pod that planners read."""

    name: str
    uid: str
    role: str = ""
    index: int = 0
    attempt: int = 0
    phase: str = "Pending"
    """The pod's phase; if its main container has terminated, Succeeded or Failed by that container's exit code."""
    sidecars: bool = False
    """Whether other containers still run although the main container has terminated."""
    scheduled: bool = False
    """Whether it is assigned to a node."""
    deleting: bool = False
    deletion_time: datetime | None = None
    """When a pod that is being deleted should be gone: the end of its grace period."""
    ip: str | None = None
    exit_code: int | None = None
    ended: datetime | None = None
    """When its main container terminated, by its node's clock; only for the pods of jobs."""
    termination_message: str = ""
    waiting: str = ""
    """Why it does not start, such as `ErrImagePull: …`; empty if nothing is wrong."""
    unscheduled: str = ""
    """The scheduler's reason, such as `Unschedulable` or `SchedulingGated`, if it is not assigned to a node."""
    disruption: str = ""
    """Why the cluster ends or ended it, such as `PreemptionByScheduler: …`; empty if it does not."""
    restarts: int = 0
    created: datetime | None = None
    group: str = ""
    """Its group in Kueue, if it is queued there."""
    revision: str = ""
    """The revision of a ModelDeployment's pod."""
    predictor: str = ""
    """The predictor of a ModelDeployment's pod."""
    ready: bool = False
    """Whether it is ready; only for the pods of ModelDeployments."""

    @property
    def server(self) -> str:
        """Return what the graph server of a ModelDeployment's pod serves: its revision, or else its predictor."""
        return self.revision or self.predictor

    @property
    def finished(self) -> bool:
        """Return whether its main container has terminated."""
        return self.phase in ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class JobView:
    """A TrainingJob that a ModelDeployment owns: what its status says, bounded."""

    name: str
    uid: str
    deleting: bool = False
    phase: str = ""
    """A one-word summary of its conditions."""
    message: str = ""
    """The message of the condition that explains the phase."""
    model: tuple[str, str] | None = None
    """The URI and digest of the model that it has published."""
    dataset: tuple[str, str] | None = None
    """The URI and digest of its dataset."""
    checkpoints: str | None = None
    """Where its checkpoints are, once it has saved one."""

    @property
    def finished(self) -> bool:
        """Return whether it has succeeded or failed."""
        return self.phase in ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class ChildView:
    """The fields of a Deployment, Service, ConfigMap, autoscaler or disruption budget that planners read."""

    name: str
    uid: str
    applied_hash: str = ""
    cluster_ip: str | None = None
    """The cluster IP (Services)."""
    replicas: int = 0
    """The number of pods (Deployments)."""
    desired: int = 0
    """The number of pods that its spec asks for (Deployments)."""
    ready: int = 0
    """The number of ready pods of the current template (Deployments)."""
    changed: bool = False
    """Whether its spec is no longer what the operator applied."""
    settled: bool = False
    """Whether the rollout is complete: no pod of an older template is left (Deployments)."""
    content: str = ""
    """A hash of what determines the pods of its template (Deployments of Seldon Core)."""


@dataclass(frozen=True, slots=True)
class SeldonView:
    """A SeldonDeployment: what it is, and what its status says, bounded; anyone who may write it may have."""

    name: str
    uid: str
    applied_hash: str = ""
    changed: bool = False
    """Whether its spec is no longer what the operator applied."""
    generation: int = 0
    observed: int = 0
    """The generation that its controller says it has seen; 0 if it does not say so."""
    state: str = ""
    """Available, Creating or Failed; empty before its controller has reported anything."""
    description: str = ""
    url: str = ""
    pods: tuple[tuple[str, int, int], ...] = ()
    """(name, replicas, available replicas) of its Deployments."""

    def count_pods(self, name: str) -> tuple[int, int]:
        """Return the replicas of a Deployment, and how many of them are available."""
        return next(((replicas, ready) for known, replicas, ready in self.pods if known == name), (0, 0))


@dataclass(frozen=True, slots=True)
class TrialView:
    """The fields of a Sweep's TrainingJob that planners read; whoever may change it may have written its annotation."""

    name: str
    uid: str
    number: int
    """The number of the trial; -1 if its label is no number."""
    values: tuple[tuple[str, str], ...] = ()
    """(name, value) of its parameters."""
    phase: str = ""
    message: str = ""
    """What the condition of its phase says, such as why it failed."""
    started: bool = False
    """Whether its pods were created."""
    suspended: bool = False
    deleting: bool = False
    step: int = 0
    total_steps: int | None = None
    metrics: tuple[tuple[str, float], ...] = ()
    """(name, value) of what it last reported."""
    model: ArtifactRef | None = None
    """The model that it published."""

    @property
    def finished(self) -> bool:
        """Return whether it has succeeded or failed."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def trained(self) -> bool:
        """Return whether it has done its last step."""
        return self.total_steps is not None and self.step >= self.total_steps

    def find_metric(self, name: str) -> float | None:
        """Return the last reported value of a metric."""
        return dict(self.metrics).get(name)


@dataclass(frozen=True, slots=True)
class ReportView:
    """A condition that a controller has set on a route for one of its parents, bounded."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    generation: int = 0
    """The generation of the route that it is about; 0 if it does not say so."""


@dataclass(frozen=True, slots=True)
class ParentView:
    """What a controller of the Gateway API reports of a route for one of its parents."""

    namespace: str
    name: str
    section: str
    reports: tuple[ReportView, ...] = ()


@dataclass(frozen=True, slots=True)
class RouteView:
    """An Ingress, HTTPRoute, GRPCRoute or VirtualService; anyone who may write its status may have written that."""

    kind: str
    name: str
    uid: str
    applied_hash: str = ""
    changed: bool = False
    """Whether its spec is no longer what the operator applied."""
    generation: int = 0
    hosts: tuple[str, ...] = ()
    """The hosts of its spec."""
    annotations: tuple[str, ...] = ()
    """The keys of its annotations, without the operator's."""
    addresses: tuple[str, ...] = ()
    """The addresses of the load balancer (Ingresses)."""
    parents: tuple[ParentView, ...] = ()
    """What is reported of it (routes of the Gateway API)."""


@dataclass(frozen=True, slots=True)
class RevisionView:
    """A ControllerRevision."""

    name: str
    uid: str
    number: int
    """Its place in the order of creation."""
    data: str
    """What it keeps, as JSON; anyone who may change it may have written it."""
