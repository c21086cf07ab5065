"""ModelDeployment: an inference graph with Seldon's semantics, served over HTTP."""

from typing import ClassVar, Literal

from fairlead_contracts.graph import (
    IMPLEMENTATIONS,
    MAX_BATCH_DELAY,
    MAX_BATCH_SIZE,
    MAX_CHILDREN,
    MAX_RETRIES,
    MAX_TIMEOUT_SECONDS,
    SOURCES,
    Implementation,
    NodeType,
    Protocol,
)
from pydantic import Field

from fairlead.api.base import (
    ARTIFACT_URI,
    DIGEST,
    DNS_LABEL,
    LIST_MAP_BY_NAME,
    LIST_MAP_BY_TYPE,
    ApiModel,
    ArtifactRef,
    Conditions,
    Resource,
    Rule,
    StatusModel,
)
from fairlead.api.group import API_VERSION
from fairlead.api.pod_template import PodTemplate
from fairlead.api.rollout import Rollout, RolloutStatus
from fairlead.api.scaling import Autoscaling, DisruptionBudget
from fairlead.api.serving_pod import Server, ServerPodSpec

MAX_NAME = 40
MAX_PREDICTOR_NAME = 12
"""Both limits together leave room for the hashes that a Deployment appends within a 63-character label."""


class NodeParameter(ApiModel):
    """A parameter of a node, as in Seldon Core v1."""

    name: str = Field(min_length=1, max_length=63)
    """The name of the parameter."""
    value: str = Field(max_length=1024)
    """The value as text."""
    type: Literal["INT", "FLOAT", "DOUBLE", "STRING", "BOOL"]
    """The type of the value."""


class NodeEndpoint(ApiModel):
    """Where a node's server listens, as in Seldon Core v1."""

    type: Literal["REST", "GRPC"] = "REST"
    """How the protocol of the node is carried."""
    service_host: str | None = Field(None, alias="service_host", max_length=253, pattern=r"^[A-Za-z0-9.:-]+$")
    """The host name or address of a server outside of the pod; omit it for the node's container in componentSpecs."""
    service_port: int | None = Field(None, alias="service_port", ge=1, le=65535)
    """The port. The container of a node that omits it is told its port, as Seldon's wrapper expects it."""


class GraphNode(ApiModel):
    """A node of an inference graph, as in Seldon Core v1."""

    name: str = Field(max_length=63, pattern=DNS_LABEL)
    """The name of the node, unique in the graph; also the name of its container, unless modelUri is set."""
    type: NodeType | None = None
    """The type of the node, which determines how it handles requests; its implementation's or MODEL if omitted."""
    model_uri: str | None = Field(None, max_length=1024, pattern=ARTIFACT_URI)
    """An ONNX artifact to run inside the graph server; omit it for nodes that are served by a container."""
    digest: str | None = Field(None, max_length=71, pattern=DIGEST)
    """The expected SHA-256 digest of the artifact."""
    implementation: Implementation | None = None
    """A built-in that runs inside the graph server; omit it for nodes with a modelUri or a container."""
    parameters: list[NodeParameter] = Field([], max_length=32, json_schema_extra=LIST_MAP_BY_NAME)
    """Parameters of the built-in, or of the container, which gets them as PREDICTIVE_UNIT_PARAMETERS."""
    endpoint: NodeEndpoint | None = None
    """Where the container or server of a node is called; over REST at a port of our choice if omitted."""
    protocol: Protocol | None = None
    """Its protocol: seldon, the microservice API, or v2, the Open Inference Protocol; seldon if omitted."""
    model_name: str | None = Field(None, min_length=1, max_length=253, pattern=r"^[A-Za-z0-9._-]+$")
    """The name of the model there, if the protocol is v2; the name of the node if omitted."""
    timeout_seconds: float | None = Field(None, ge=0.001, le=MAX_TIMEOUT_SECONDS)
    """The timeout of a call there, in seconds and with its retries; 5 if omitted."""
    retries: int | None = Field(None, ge=0, le=MAX_RETRIES)
    """The number of retries of calls of which nothing was sent, because the connection failed; none if omitted."""
    env_secret_ref_name: str | None = Field(None, max_length=253)
    """The name of a Secret with the environment variables for reading modelUri, such as AWS_ACCESS_KEY_ID."""
    children: list["GraphNode"] = Field([], max_length=MAX_CHILDREN)
    """The nodes that receive the output of this node."""

    @property
    def role(self) -> NodeType:
        """Return the type of the node."""
        return self.type or (IMPLEMENTATIONS[self.implementation] if self.implementation else "MODEL")

    @classmethod
    def all_sources(cls) -> list[str]:
        """Return the fields that say what runs a node: all but the container of the same name."""
        return [name for name in SOURCES if name in cls.model_fields]

    @property
    def sources(self) -> list[str]:
        """Return those of these fields that are set; a node without any is served by a container."""
        in_pod = self.endpoint is not None and self.endpoint.service_host is None
        given = [name for name in self.all_sources() if getattr(self, name) is not None]
        return [name for name in given if not (name == "endpoint" and in_pod)]

    def walk(self) -> list["GraphNode"]:
        """Return this node and its descendants, parents first."""
        return [self, *(node for child in self.children for node in child.walk())]


class ComponentSpec(PodTemplate):
    """A PodTemplateSpec whose containers are Seldon microservices; each serves the graph node of the same name."""


class Batching(ApiModel):
    """How the models of a graph run requests together."""

    max_batch_size: int = Field(ge=2, le=MAX_BATCH_SIZE)
    """The maximum number of rows in a run."""
    max_delay_milliseconds: float = Field(ge=0, le=MAX_BATCH_DELAY)
    """The maximum time that a request waits for others, in milliseconds."""


class Predictor(ApiModel):
    """An inference graph and its share of the traffic."""

    name: str = Field(max_length=MAX_PREDICTOR_NAME, pattern=DNS_LABEL)
    """The name of the predictor, unique in the deployment."""
    replicas: int | None = Field(None, ge=0, le=512)
    """The number of pods; defaults to spec.replicas."""
    traffic: int | None = Field(None, ge=0, le=100)
    """The percentage of requests; the sum over all predictors must be 100. A single predictor may omit it."""
    graph: GraphNode
    """The root node of the graph."""
    batching: Batching | None = None
    """Runs requests to the graph's models together; they need a first dimension of any size. One by one if omitted."""
    server: Server | None = None
    """The graph server and its pods."""
    component_specs: list[ComponentSpec] = Field([], max_length=4)
    """Pod templates with the containers for nodes without modelUri."""

    @property
    def server_spec(self) -> ServerPodSpec | None:
        """Return what the graph server's template says of the pods."""
        return self.server.template.spec if self.server and self.server.template else None


_TRAFFIC_SUM = (
    "(size(self.predictors) == 1 && !has(self.predictors[0].traffic) ? 100 :"
    " self.predictors.map(p, has(p.traffic) ? p.traffic : 0).sum())"
)


def _traffic_sum(predictors: list[Predictor]) -> int:
    if len(predictors) == 1 and predictors[0].traffic is None:
        return 100
    return sum(predictor.traffic or 0 for predictor in predictors)


class ProvenanceGate(ApiModel):
    """What must be known of each model: that it was converted with figures of its parity, from a model that was trained
    on a dataset, and that this dataset has passed its validation. Everything must still be there to be read."""

    suite: str | None = Field(None, max_length=71, pattern=DIGEST)
    """The digest of the expectations that the datasets must have met; any if unset."""


class ModelDeploymentSpec(ApiModel):
    """The desired state of the deployment."""

    engine: Literal["Native"] = "Native"
    """The inference engine that serves the graphs."""
    replicas: int = Field(1, ge=0, le=512)
    """The default number of pods per predictor."""
    predictors: list[Predictor] = Field(min_length=1, max_length=8, json_schema_extra=LIST_MAP_BY_NAME)
    """The predictors that share the traffic."""
    rollout: Rollout | None = None
    """How a changed predictor takes over. If unset, its pods are replaced one by one, whatever they answer."""

    autoscaling: Autoscaling | None = None
    """A HorizontalPodAutoscaler for the pods. If unset, there is none, and spec.replicas is what you set."""
    disruption_budget: DisruptionBudget | None = None
    """A PodDisruptionBudget for the pods. If unset, there is none."""
    require_provenance: ProvenanceGate | None = None
    """Serve only models of nodes of type MODEL whose origin can be shown, by the manifests of their artifacts. What
    serves already goes on if that changes. The manifests prove no authorship: who may write them, may invent them."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"{_TRAFFIC_SUM} == 100",
            "predictors: expected the traffic to sum to 100",
            lambda spec: _traffic_sum(spec.predictors) == 100,
            f"'predictors: traffic sums to %d, expected 100'.format([{_TRAFFIC_SUM}])",
            field=".predictors",
        ),
        Rule(
            "!has(self.rollout) || size(self.predictors) == 1",
            "rollout: expected exactly one predictor",
            lambda spec: spec.rollout is None or len(spec.predictors) == 1,
            field=".rollout",
        ),
    )


class PredictorStatus(StatusModel):
    """The observed state of a predictor."""

    name: str
    """The name of the predictor."""
    replicas: int = 0
    """The number of pods."""
    ready: int = 0
    """The number of ready pods."""
    traffic: int = 0
    """The percentage of requests that it receives."""


class ModelDeploymentStatus(StatusModel):
    """The most recently observed state of the deployment."""

    observed_generation: int = 0
    """The most recent generation that the operator observed."""
    conditions: Conditions = Field((), json_schema_extra=LIST_MAP_BY_TYPE)
    """The conditions Progressing and Degraded; Ready, Reconciling and Stalled (kstatus)."""
    url: str | None = None
    """The URL of the deployment inside the cluster."""
    replicas: int = 0
    """The number of pods of all predictors, ready or not."""
    selector: str | None = None
    """The label selector of the pods, for `kubectl scale` and autoscalers."""
    predictors: tuple[PredictorStatus, ...] = Field((), json_schema_extra=LIST_MAP_BY_NAME)
    """The observed state of each predictor."""
    stable_revision: str | None = None
    """With spec.rollout: the revision whose pods the Service selects."""
    candidate_revision: str | None = None
    """The revision that may become the stable one."""
    rollout: RolloutStatus | None = None
    """Where the rollout is, and how the last one ended."""
    provenance: tuple[ArtifactRef, ...] = ()
    """The artifacts that are served and the artifacts they were produced from."""


class ModelDeployment(Resource):
    """An inference graph with Seldon's semantics, served over HTTP."""

    max_name: ClassVar[int] = MAX_NAME

    api_version: Literal["fairlead.dev/v1alpha1"] = API_VERSION  # type: ignore[assignment]
    kind: Literal["ModelDeployment"] = "ModelDeployment"
    spec: ModelDeploymentSpec
    """The desired state of the deployment."""
    status: ModelDeploymentStatus = ModelDeploymentStatus()
    """The most recently observed state of the deployment."""
