"""ModelDeployment: an inference graph with Seldon's semantics, served over HTTP."""

from typing import ClassVar, Literal

from fairlead_contracts.graph import MAX_CHILDREN, NodeType
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

MAX_NAME = 40
MAX_PREDICTOR_NAME = 12
"""Together they leave room for the hashes that a Deployment adds in a 63-character label."""


class GraphNode(ApiModel):
    """One node of an inference graph, as in Seldon Core v1."""

    name: str = Field(max_length=63, pattern=DNS_LABEL)
    """Its name, unique in the graph; a container of this name in componentSpecs serves it."""
    type: NodeType = "MODEL"
    """What it does with a request."""
    model_uri: str | None = Field(None, max_length=1024, pattern=ARTIFACT_URI)
    """An ONNX artifact that runs inside the graph server; absent for a node with a container of its own."""
    digest: str | None = Field(None, max_length=71, pattern=DIGEST)
    """The SHA-256 that the artifact must have."""
    env_secret_ref_name: str | None = Field(None, max_length=253)
    """A Secret whose keys are the environment that reads modelUri: AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, …"""
    children: list["GraphNode"] = Field([], max_length=MAX_CHILDREN)
    """The nodes that take this one's output."""

    def walk(self) -> list["GraphNode"]:
        """Return this node and all below it, parents first."""
        return [self, *(node for child in self.children for node in child.walk())]


class ComponentSpec(PodTemplate):
    """A PodTemplateSpec whose containers are Seldon microservices, one for each graph node of the same name."""


class Predictor(ApiModel):
    """One inference graph and how much of the traffic it takes."""

    name: str = Field(max_length=MAX_PREDICTOR_NAME, pattern=DNS_LABEL)
    """Its name, unique in the deployment."""
    replicas: int | None = Field(None, ge=0, le=512)
    """How many pods; absent: spec.replicas."""
    traffic: int = Field(100, ge=0, le=100)
    """Percent of the requests; the predictors' shares sum to 100."""
    graph: GraphNode
    """The root of its graph."""
    component_specs: list[ComponentSpec] = Field([], max_length=4)
    """Containers for the nodes without a modelUri."""


class ModelDeploymentSpec(ApiModel):
    """The serving that is wanted."""

    engine: Literal["Native"] = "Native"
    """What serves the graph."""
    replicas: int = Field(1, ge=0, le=512)
    """How many pods a predictor has that does not say."""
    predictors: list[Predictor] = Field(min_length=1, max_length=8, json_schema_extra=LIST_MAP_BY_NAME)
    """The graphs that share the traffic."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.predictors.map(p, p.traffic).sum() == 100",
            "predictors: expected traffic that sums to 100",
            lambda spec: sum(predictor.traffic for predictor in spec.predictors) == 100,
            "'predictors: traffic sums to %d, expected 100'.format([self.predictors.map(p, p.traffic).sum()])",
            field=".predictors",
        ),
    )


class PredictorStatus(StatusModel):
    """One predictor, as observed."""

    name: str
    """Its name."""
    replicas: int = 0
    """Pods that exist."""
    ready: int = 0
    """Pods that answer."""
    traffic: int = 0
    """Percent of the requests that it takes."""


class ModelDeploymentStatus(StatusModel):
    """What was last observed of the deployment."""

    observed_generation: int = 0
    """The spec's generation that this status speaks of."""
    conditions: Conditions = Field((), json_schema_extra=LIST_MAP_BY_TYPE)
    """Ready, Progressing, Degraded."""
    url: str | None = None
    """Where it answers, inside the cluster."""
    replicas: int = 0
    """Pods that answer, over all predictors."""
    selector: str | None = None
    """The pods' labels, for `kubectl scale` and autoscalers."""
    predictors: tuple[PredictorStatus, ...] = Field((), json_schema_extra=LIST_MAP_BY_NAME)
    """Each predictor, as observed."""
    provenance: tuple[ArtifactRef, ...] = ()
    """The artifacts that are served, and those they were made from."""


class ModelDeployment(Resource):
    """An inference graph with Seldon's semantics, served over HTTP."""

    max_name: ClassVar[int] = MAX_NAME

    api_version: Literal["fairlead.dev/v1alpha1"] = API_VERSION  # type: ignore[assignment]
    kind: Literal["ModelDeployment"] = "ModelDeployment"
    spec: ModelDeploymentSpec
    """The serving that is wanted."""
    status: ModelDeploymentStatus = ModelDeploymentStatus()
    """What was last observed of the deployment."""
