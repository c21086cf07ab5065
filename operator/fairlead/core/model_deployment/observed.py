"""The observed state of a ModelDeployment, the input of its planner."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from fairlead_contracts.traffic import TrafficFacts

from fairlead.api.base import ArtifactRef
from fairlead.core import names
from fairlead.core.artifacts import ArtifactFacts
from fairlead.core.conditions import Finding
from fairlead.core.model_deployment.accelerated import DeviceMeasures
from fairlead.core.model_deployment.claims import Claim
from fairlead.core.model_deployment.drift import DriftMeasures
from fairlead.core.model_deployment.queries import QueryAnswer
from fairlead.core.views import ChildView, JobView, PodView, RevisionView, RouteView, SeldonView


@dataclass(frozen=True)
class NodeArtifact:
    """The artifact of a graph node."""

    node: str
    """The node's name; with its predictor's, if there are several."""
    model_uri: str
    artifact: ArtifactFacts


@dataclass(frozen=True)
class Artifacts:
    """The artifacts of all graphs, as read from the artifact store."""

    nodes: tuple[NodeArtifact, ...] = ()
    """In the order of the nodes."""
    chain: tuple[ArtifactRef, ...] = ()
    """The models that could be read and the artifacts they were produced from."""
    ancestors: tuple[ArtifactFacts, ...] = ()
    """The artifacts that they were produced from, as far as these may be read and the deployment asks for them."""
    validations: Mapping[tuple[str, str], ArtifactFacts] = field(default_factory=dict)
    """The validation results of the datasets among them, by the dataset's URI and digest."""
    cards: Mapping[tuple[str, str], ArtifactFacts] = field(default_factory=dict)
    """The models' cards, if the deployment asks for them, by the model's URI and digest."""
    pending: bool = False
    """They are still being read; the deployment is reconciled again afterwards."""

    @property
    def digests(self) -> dict[str, str]:
        """Return the digests by modelUri."""
        return {node.model_uri: node.artifact.digest for node in self.nodes}


@dataclass(frozen=True)
class ServiceAnswer:
    """The response of a deployment's Service to a readiness request."""

    status: int | None = None
    """The HTTP status code; None if there was no response."""
    error: str = ""
    """Why there was no response."""
    pending: bool = False
    """It has not been asked before; the deployment is reconciled again when it responds."""


@dataclass(frozen=True)
class ServerReading:
    """What a graph server that splits requests, or could, has said about its traffic."""

    pod: str
    """The uid of its pod."""
    facts: TrafficFacts | None = None
    """None if it could not be read."""
    error: str = ""
    """Why it could not be read, or could not be sent its document."""


@dataclass(frozen=True)
class ObservedTraffic:
    """What the ready graph servers have said that split requests, or could."""

    servers: tuple[ServerReading, ...] = ()
    """Empty if they have not been asked yet."""
    key_missing: bool = False
    """Whether the Secret that signs their documents does not exist."""

    @property
    def is_unasked(self) -> bool:
        """Return whether nobody was asked yet: by an operator that has just started, or since pods have changed."""
        return not (self.servers or self.key_missing)


Refusal = Literal["", "missing", "forbidden", "unreadable"]


@dataclass(frozen=True)
class ObservedSeldon:
    """What is seen of Seldon Core, for a deployment with its engine."""

    views: tuple[SeldonView, ...] = ()
    """The SeldonDeployments that the deployment owns."""
    deployments: tuple[ChildView, ...] = ()
    """The Deployments that these own."""
    refusal: Refusal = ""
    """Why SeldonDeployments cannot be read: the cluster has none, the operator may not list them, or the API server has
    answered with another error since the operator started."""
    pending: bool = False
    """They are still being listed."""

    def find(self, name: str) -> SeldonView | None:
        """Return a SeldonDeployment."""
        return next((view for view in self.views if view.name == name), None)


@dataclass(frozen=True)
class ObservedRoutes:
    """What is seen of the routes from outside of the cluster, for a deployment that has some or asks for them."""

    views: tuple[RouteView, ...] = ()
    """The routes that the deployment owns."""
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    """Why routes of a kind cannot be read, by the kind."""
    pending: frozenset[str] = frozenset()
    """The kinds that are still being listed."""
    claims: tuple[Claim, ...] = ()
    """The hosts of other deployments."""
    rejection: Finding | None = None
    """Why the API server has just rejected a route."""

    def find(self, kind: str, name: str) -> RouteView | None:
        """Return a route."""
        return next((view for view in self.views if (view.kind, view.name) == (kind, name)), None)


@dataclass(frozen=True)
class ObservedRetraining:
    """What is seen of the runs that train a deployment's model again."""

    jobs: tuple[JobView, ...] = ()
    """The TrainingJobs that the deployment owns."""
    converters: tuple[PodView, ...] = ()
    """The converters' pods that it owns."""
    trainers: tuple[JobView, ...] = ()
    """The TrainingJobs that trained the models which the spec names, as far as they still exist."""
    rejection: Finding | None = None
    """Why the API server has just rejected a job or a pod."""

    def find_job(self, name: str) -> JobView | None:
        """Return a job."""
        return next((job for job in self.jobs if job.name == name), None)

    def find_converter(self, job: str) -> PodView | None:
        """Return the pod that converts the model of a job."""
        return next((pod for pod in self.converters if pod.name == names.converter_name(job)), None)


@dataclass(frozen=True)
class ObservedDeployment:
    """The observed state of a ModelDeployment."""

    deployments: tuple[ChildView, ...] = ()
    services: tuple[ChildView, ...] = ()
    config_maps: tuple[ChildView, ...] = ()
    pods: tuple[PodView, ...] = ()
    artifacts: Artifacts = Artifacts()
    answer: ServiceAnswer | None = None
    """None if no pod is ready, so no request was sent."""
    rejection: Finding | None = None
    """Why the API server has just rejected a child."""
    revisions: tuple[RevisionView, ...] = ()
    traffic: ObservedTraffic = ObservedTraffic()
    answers: tuple[QueryAnswer, ...] = ()
    """What the queries of a rollout's analysis have returned for its candidate."""
    autoscalers: tuple[ChildView, ...] = ()
    budgets: tuple[ChildView, ...] = ()
    drift: DriftMeasures | None = None
    """What the servers have counted; None if it is not monitored, or they have not been asked yet."""
    devices: DeviceMeasures | None = None
    """Where models run; None if no server has a GPU, or they have not been asked yet."""
    seldon: ObservedSeldon = ObservedSeldon()
    routes: ObservedRoutes = ObservedRoutes()
    retraining: ObservedRetraining = ObservedRetraining()
