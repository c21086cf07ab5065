"""ModelDeployment: an inference graph with Seldon's semantics, served over HTTP."""

from typing import ClassVar, Literal

from fairlead_contracts.graph import MAX_BATCH_DELAY, MAX_BATCH_SIZE
from pydantic import Field

from fairlead.api.base import (
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
from fairlead.api.engine import ENGINE_RULES
from fairlead.api.exposure import EXPOSURE_RULES, Exposure, ExposureStatus
from fairlead.api.graph import GraphNode
from fairlead.api.group import API_VERSION
from fairlead.api.model_gates import ModelCardGate, ProvenanceGate, SignatureGate
from fairlead.api.monitor import DriftStatus, Monitor
from fairlead.api.pod_template import PodTemplate
from fairlead.api.retrain import RetrainStatus
from fairlead.api.rollout import Rollout, RolloutStatus
from fairlead.api.scaling import Autoscaling, DisruptionBudget
from fairlead.api.serving_auth import AUTH_RULES
from fairlead.api.serving_pod import Server, ServerPodSpec
from fairlead.api.traffic import Measured, Shadow, Stickiness, TrafficStatus

MAX_NAME = 40
MAX_PREDICTOR_NAME, MAX_PREDICTORS = 12, 8
"""Both lengths together leave room for the hashes that a Deployment appends within a 63-character label."""


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

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.shadow) || !has(self.traffic)",
            "traffic: expected none in a shadow, which gets copies only",
            lambda predictor: predictor.shadow is None or predictor.traffic is None,
            field=".traffic",
        ),
    )

    name: str = Field(max_length=MAX_PREDICTOR_NAME, pattern=DNS_LABEL)
    """The name of the predictor, unique in the deployment."""
    replicas: int | None = Field(None, ge=0, le=512)
    """The number of pods; defaults to spec.replicas."""
    traffic: int | None = Field(None, ge=0, le=100)
    """The percentage of requests; the sum over all predictors must be 100. One that has no other beside it than shadows
    may omit it."""
    shadow: Shadow | None = None
    """Makes the predictor a shadow, which gets copies of requests instead of traffic."""
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


_LIVE = "self.predictors.filter(p, !has(p.shadow))"
_TRAFFIC_SUM = (
    f"(size({_LIVE}) == 1 && !has({_LIVE}[0].traffic) ? 100 : {_LIVE}.map(p, has(p.traffic) ? p.traffic : 0).sum())"
)


def _traffic_sum(live: list[Predictor]) -> int:
    if len(live) == 1 and live[0].traffic is None:
        return 100
    return sum(predictor.traffic or 0 for predictor in live)


class ModelDeploymentSpec(ApiModel):
    """The desired state of the deployment."""

    engine: Literal["Native", "Seldon"] = "Native"
    """What serves the graphs: our graph servers, or Seldon Core v1, for which a SeldonDeployment is written. It cannot
    be changed."""
    replicas: int = Field(1, ge=0, le=512)
    """The default number of pods per predictor."""
    predictors: list[Predictor] = Field(min_length=1, max_length=MAX_PREDICTORS, json_schema_extra=LIST_MAP_BY_NAME)
    """The predictors that share the traffic. The Service selects the pods of the first one that is no shadow: they
    answer its share, and forward the others'."""
    stickiness: Stickiness | None = None
    """What keeps a client at one of several predictors. If unset, each request is decided by itself."""
    rollout: Rollout | None = None
    """How a changed predictor takes over. If unset, its pods are replaced one by one, whatever they answer."""

    autoscaling: Autoscaling | None = None
    """A HorizontalPodAutoscaler for the pods. If unset, there is none, and spec.replicas is what you set."""
    disruption_budget: DisruptionBudget | None = None
    """A PodDisruptionBudget for the pods. If unset, there is none."""
    require_provenance: ProvenanceGate | None = None
    """Serve only models of nodes of type MODEL whose origin can be shown, by the manifests of their artifacts. What
    serves already goes on if that changes. The manifests prove no authorship: who may write them, may invent them."""
    require_model_card: ModelCardGate | None = None
    """Give no model all of the requests without a card that says that it is good enough. With spec.rollout a candidate
    takes its steps and waits for its card before it is promoted, until the deadline; else new models are not served
    without one. Shadows need none. What serves already goes on."""
    require_signature: SignatureGate | None = None
    """Serve only models that one of these keys has signed. What serves already goes on."""

    monitor: Monitor | None = None
    """What is watched while the models serve. If unset, nothing is."""
    expose: Exposure | None = None
    """Routes from outside of the cluster. If unset, there are none."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"{_TRAFFIC_SUM} == 100",
            "predictors: expected the traffic to sum to 100",
            lambda spec: _traffic_sum(spec.live) == 100,
            f"'predictors: traffic sums to %d, expected 100'.format([{_TRAFFIC_SUM}])",
            field=".predictors",
        ),
        Rule(
            f"self.predictors.all(p, !has(p.shadow)) || size({_LIVE}) == 0 || !has({_LIVE}[0].traffic)"
            f" || {_LIVE}[0].traffic > 0",
            "predictors: expected traffic above 0 in the first one, of whose requests shadows get copies",
            lambda spec: len(spec.live) == len(spec.predictors) or not spec.live or spec.live[0].traffic != 0,
            field=".predictors",
        ),
        Rule(
            f"!has(self.stickiness) || size({_LIVE}) > 1",
            "stickiness: expected several predictors with traffic",
            lambda spec: spec.stickiness is None or len(spec.live) > 1,
            field=".stickiness",
        ),
        Rule(
            f"!has(self.autoscaling) || size({_LIVE}) == 0 || !has({_LIVE}[0].replicas)",
            "autoscaling: expected no replicas in the first predictor, because spec.replicas is what is scaled",
            lambda spec: spec.autoscaling is None or not spec.live or spec.live[0].replicas is None,
            field=".autoscaling",
        ),
        Rule(
            "!has(self.rollout) || size(self.predictors) == 1",
            "rollout: expected exactly one predictor",
            lambda spec: spec.rollout is None or len(spec.predictors) == 1,
            field=".rollout",
        ),
        Rule(
            "!has(self.monitor) || !has(self.monitor.retrain) || has(self.rollout)",
            "monitor.retrain: expected a rollout with it, which measures the retrained model",
            lambda spec: spec.monitor is None or spec.monitor.retrain is None or spec.rollout is not None,
            field=".monitor.retrain",
        ),
        *ENGINE_RULES,
        *AUTH_RULES,
        *EXPOSURE_RULES,
    )

    @property
    def live(self) -> list[Predictor]:
        """Return the predictors that are no shadows."""
        return [predictor for predictor in self.predictors if predictor.shadow is None]


class PredictorStatus(StatusModel):
    """The observed state of a predictor."""

    name: str
    """The name of the predictor."""
    replicas: int = 0
    """The number of pods."""
    ready: int = 0
    """The number of ready pods."""
    traffic: int = 0
    """The percentage of requests that it answers."""
    traffic_confirmed: int | None = None
    """With several predictors: the percentage that all ready servers of the entry last had in force."""
    shadow: int | None = None
    """The percentage of the entry's requests of which a shadow gets copies."""
    shadow_confirmed: int | None = None
    """The percentage that all ready servers of the entry last had in force."""
    measured: Measured | None = None
    """With several predictors: what was counted since the traffic last changed."""


class ModelDeploymentStatus(StatusModel):
    """The most recently observed state of the deployment."""

    observed_generation: int = 0
    """The most recent generation that the operator observed."""
    conditions: Conditions = Field((), json_schema_extra=LIST_MAP_BY_TYPE)
    """The conditions Progressing and Degraded; Ready, Reconciling and Stalled (kstatus); Drifted with spec.monitor,
    Retraining with spec.monitor.retrain; Exposed with spec.expose; Accelerated where GPUs are asked for."""
    url: str | None = None
    """The URL of the deployment inside the cluster."""
    replicas: int = 0
    """The number of pods that the selector selects, ready or not."""
    selector: str | None = None
    """The label selector of the pods, for `kubectl scale` and autoscalers. With several predictors, those of the first
    one that is no shadow."""
    predictors: tuple[PredictorStatus, ...] = Field((), json_schema_extra=LIST_MAP_BY_NAME)
    """The observed state of each predictor."""
    traffic: TrafficStatus | None = None
    """With several predictors: how requests are split between them."""
    stable_revision: str | None = None
    """With spec.rollout: the revision whose pods the Service selects."""
    candidate_revision: str | None = None
    """The revision that may become the stable one."""
    rollout: RolloutStatus | None = None
    """Where the rollout is, and how the last one ended."""
    drift: DriftStatus | None = None
    """With spec.monitor: how the requests of the last window compare with the training data."""
    retrain: RetrainStatus | None = None
    """With spec.monitor.retrain: what has become of the runs, and the model that is served in the spec's place."""
    exposure: ExposureStatus | None = None
    """With spec.expose: the routes from outside of the cluster."""
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
