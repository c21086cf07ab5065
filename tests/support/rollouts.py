"""An in-memory cluster for simulated traffic: it applies plans, starts and replaces pods, and serves requests."""

import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fairlead.api.model_deployment import ModelDeployment, ModelDeploymentStatus
from fairlead.core import names
from fairlead.core.artifacts import ArtifactFacts
from fairlead.core.model_deployment.artifacts import label_nodes
from fairlead.core.model_deployment.observed import (
    Artifacts,
    NodeArtifact,
    ObservedDeployment,
    ObservedTraffic,
    ServerReading,
    ServiceAnswer,
)
from fairlead.core.model_deployment.plan import plan_model_deployment
from fairlead.core.model_deployment.retrained import with_retrained_model
from fairlead.core.model_deployment.traffic import build_documents
from fairlead.core.plan import Event
from fairlead.core.settings import Settings
from fairlead.core.views import ChildView, PodView, RevisionView
from fairlead.kube.views import view_revision
from fairlead_contracts.traffic import BOUNDS, FILE, Agreement, Counts, RouteFacts, TrafficDocument, TrafficFacts

from tests.support.resources import DIGEST, make_deployment

START = datetime(2026, 3, 1, tzinfo=UTC)
FAST, SLOW = 40, 120
"""Buckets of about 5 ms and 10 s."""
POLICY = {
    "steps": [{"traffic": 10, "seconds": 20}, {"traffic": 50, "seconds": 20}],
    "analysis": {
        "intervalSeconds": 10, "minRequests": 50, "failureLimit": 0, "maxErrorRate": 0.05, "maxP99Seconds": 1,
        "minAgreement": 0.9, "mirrorPercent": 20,
    },
    "progressDeadlineSeconds": 200,
}  # fmt: skip
_VIEWED = (
    "Deployment", "Service", "ConfigMap", "ControllerRevision", "HorizontalPodAutoscaler", "PodDisruptionBudget",
)  # fmt: skip
URI = "spec__predictors__0__graph__modelUri"


@dataclass(frozen=True)
class Behaviour:
    """What the pods of a revision do."""

    errors: float = 0.0
    slow: float = 0.0
    differing: float = 0.0
    crashes: bool = False
    never_ready: bool = False
    flaps: bool = False
    """Is not ready half of the time, and fails what it gets then."""


@dataclass
class Server:
    """A graph server of a revision or predictor: it has a document, and counts in its window."""

    revision: str
    told: bool = True
    """Whether it is one that can be told what to do."""
    document: TrafficDocument | None = None
    counts: list[int] = field(default_factory=lambda: [0, 0, 0, 0, 0])
    """Requests, errors, slow ones, compared, agreed."""

    def put(self, document: TrafficDocument) -> None:
        """Accept a document of this revision, unless a newer one is known."""
        if (
            not self.told
            or document.revision != self.revision
            or (self.document and document.generation < self.document.generation)
        ):
            return
        if self.document is None or document.window != self.document.window:
            self.counts = [0, 0, 0, 0, 0]
        self.document = document

    def read(self) -> TrafficFacts:
        """Return the facts."""
        requests, errors, slow, compared, agreed = self.counts
        latency = [0] * (len(BOUNDS) + 1)
        latency[FAST], latency[SLOW] = requests - slow, slow
        routes = self.document.routes if self.document else ()
        counts = Counts(requests=requests, errors=errors, latency=tuple(latency))
        agreement = Agreement(compared=compared, agreed=agreed)
        return TrafficFacts(
            server="s", revision=self.revision, generation=self.document.generation if self.document else 0,
            window=self.document.window if self.document else 0,
            routes=tuple(RouteFacts(name=route.name, counts=counts, agreement=agreement) for route in routes),
        )  # fmt: skip


class Killed(Exception):
    """The operator was killed."""


@dataclass
class RolloutCluster:
    """A deployment with its children. `behave` says what a model's pods do, by its URI."""

    deployment: ModelDeployment
    behave: dict[str, Behaviour]
    random: random.Random
    rate: float = 50.0
    """Requests a second."""
    kill: float = 0.0
    """The probability that the operator is killed at a write."""
    deaf: float = 0.0
    """The probability that a server does not answer the operator."""
    asked: bool = True
    """Whether servers have been asked since the operator has started and pods have changed."""
    now: datetime = START
    children: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    pods: dict[str, PodView] = field(default_factory=dict)
    servers: dict[str, Server] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    """The modelUri of each revision."""
    events: list[Event] = field(default_factory=list)
    templates: dict[str, str] = field(default_factory=dict)
    """The template of each pod."""
    answered: Counter[str] = field(default_factory=Counter)
    """Requests by the revision or predictor that answered them."""
    lost: int = 0
    """Requests that were forwarded to a revision or predictor without pods, or found no ready pod."""
    _uids: Iterator[int] = field(default_factory=itertools.count)

    @property
    def status(self) -> ModelDeploymentStatus:
        """Return the stored status."""
        return self.deployment.status

    def edit(self, **changes: Any) -> None:
        """Change the spec, as a user would."""
        edited = make_deployment(**{"spec__rollout": POLICY, **changes})
        generation = self.deployment.metadata.generation + 1
        metadata = edited.metadata.model_copy(update={"generation": generation})
        self.deployment = edited.model_copy(update={"status": self.status, "metadata": metadata})

    def command(self, text: str) -> None:
        """Set the annotation of commands."""
        annotations = {names.ROLLOUT_COMMAND: text}
        metadata = self.deployment.metadata.model_copy(update={"annotations": annotations})
        self.deployment = self.deployment.model_copy(update={"metadata": metadata})

    def reconcile(self) -> None:
        """Tell the servers, observe, plan and execute once, like the operator; it may be killed at any write."""
        plan = plan_model_deployment(self.deployment, self.observe(), Settings(), self.now, "ab" * 32)
        try:
            for deletion in plan.delete:
                self._survive()
                self._delete(deletion.kind, deletion.name)
            for obj in plan.apply:
                self._survive()
                self._apply(obj)
            self._survive()
            self.events += [event for event in plan.events if event not in self.events]
            assert isinstance(plan.status, ModelDeploymentStatus)
            self.deployment = self.deployment.model_copy(update={"status": plan.status})
            for obj in plan.apply_last:
                self._survive()
                self._apply(obj)
        except Killed:
            return

    def observe(self) -> ObservedDeployment:
        """Return what the operator sees, after it has told servers what the stored status says."""
        documents = build_documents(self.deployment)
        readings = []
        for pod in self.pods.values() if self.asked else ():
            if (document := documents.get(pod.server)) is None or not pod.ready or pod.deleting:
                continue
            server = self.servers[pod.name]
            if self.random.random() < self.deaf:
                readings.append(ServerReading(pod.uid, error="no answer"))
                continue
            if not server.told:
                readings.append(ServerReading(pod.uid, error="404"))
                continue
            server.put(document)
            readings.append(ServerReading(pod.uid, server.read()))
        uris = [
            (name, node.model_uri)
            for name, node in label_nodes(with_retrained_model(self.deployment))
            if node.model_uri
        ]
        artifacts = tuple(NodeArtifact(name, uri, ArtifactFacts(uri, DIGEST)) for name, uri in uris)
        by_kind: dict[str, list[Any]] = {kind: [] for kind in _VIEWED}
        for kind, name in self.children:
            if kind in by_kind:
                by_kind[kind].append(self._view(kind, name))
        return ObservedDeployment(
            tuple(by_kind["Deployment"]), tuple(by_kind["Service"]), tuple(by_kind["ConfigMap"]),
            tuple(self.pods.values()), Artifacts(artifacts), ServiceAnswer(200),
            revisions=tuple(by_kind["ControllerRevision"]), traffic=ObservedTraffic(tuple(readings)),
            autoscalers=tuple(by_kind["HorizontalPodAutoscaler"]), budgets=tuple(by_kind["PodDisruptionBudget"]),
        )  # fmt: skip

    def step(self, seconds: float) -> None:
        """Let time pass: pods start, and requests are answered."""
        self.now += timedelta(seconds=seconds)
        for (kind, name), obj in self.children.items():
            if kind == "Deployment":
                self._run_pods(name, obj)
        self._serve(round(self.rate * seconds))

    def _serve(self, requests: int) -> None:
        service = self.children.get(("Service", self.deployment.metadata.name))
        ready = [pod for pod in self.pods.values() if pod.ready and service and _selects(service, pod)]
        if service and _is_served(service, self.deployment) and not ready:
            self.lost += requests
        for _ in range(requests if ready else 0):
            self._answer(self.servers[self.random.choice(ready).name])

    def _answer(self, server: Server) -> None:
        answered = server.revision
        for route in server.document.routes if server.document else ():
            draw = self.random.random() * 100
            live = draw < route.percent
            copied = not live and self.random.random() * 100 < route.mirror_percent
            if not live and not copied:
                continue
            behaviour = self._behaviour(route.name)
            pods = [pod for pod in self.pods.values() if pod.server == route.name and pod.ready]
            if live and not self._exists(route.name):
                self.lost += 1
            failed = not pods or self.random.random() < behaviour.errors
            server.counts[0] += 1
            server.counts[1] += failed
            server.counts[2] += self.random.random() < behaviour.slow
            if copied:
                server.counts[3] += 1
                server.counts[4] += not failed and self.random.random() >= behaviour.differing
            answered = route.name if live else answered
        self.answered[answered] += 1

    def _behaviour(self, server: str) -> Behaviour:
        return self.behave.get(self.models.get(server, server), Behaviour())

    def _exists(self, server: str) -> bool:
        named = (names.revision_name(self.deployment, server), names.predictor_name(self.deployment, server))
        found = (self.children.get(("Deployment", name)) for name in named)
        return any(child is not None and child["spec"]["replicas"] for child in found)

    def _run_pods(self, name: str, obj: dict[str, Any]) -> None:
        labels = obj["spec"]["template"]["metadata"]["labels"]
        revision, predictor = labels.get(names.REVISION, ""), labels.get(names.PREDICTOR, "")
        behaviour, replicas = self._behaviour(revision or predictor), obj["spec"]["replicas"]
        template = json.dumps(obj["spec"]["template"], sort_keys=True)
        own = self._pods_of(name)
        old = [pod for pod in own if self.templates[pod.name] != template]
        for pod in [] if old else own[replicas:]:
            del self.pods[pod.name]
        # a new pod beside the old ones, and an old one less for each new one that is ready
        for pod in old[: sum(pod.ready for pod in own) - replicas] if replicas else old:
            del self.pods[pod.name]
        desired = replicas + 1 if old and len(own) == replicas else replicas
        for _ in range(desired - len(own)):
            pod = PodView(
                f"{name}:{next(self._uids)}", f"uid-{next(self._uids)}", revision=revision, predictor=predictor,
                ip="10.0.0.1",
            )  # fmt: skip
            self.pods[pod.name], self.templates[pod.name] = pod, template
            self.servers[pod.name] = Server(pod.server, told="FAIRLEAD_REVISION" in template)
            self._start(self.servers[pod.name], name)
        for pod in own:
            ready = not (behaviour.crashes or behaviour.never_ready) and self.random.random() < 0.8
            if pod.ready:
                ready = not behaviour.flaps or self.random.random() < 0.5
            crashed = {"restarts": pod.restarts + 1, "waiting": "CrashLoopBackOff"} if behaviour.crashes else {}
            if pod.name in self.pods:
                self.pods[pod.name] = replace(pod, phase="Running", ready=ready, **crashed)

    def _start(self, server: Server, deployment: str) -> None:
        """Let a server of a predictor begin with the document in its ConfigMap."""
        config = self.children.get(("ConfigMap", names.traffic_config_name(deployment)))
        if config and server.told and self.status.traffic:
            server.put(TrafficDocument.parse_json(config["data"][FILE].encode(), FILE))

    def _pods_of(self, deployment: str) -> list[PodView]:
        return [pod for pod in self.pods.values() if pod.name.startswith(f"{deployment}:")]

    def _survive(self) -> None:
        if self.random.random() < self.kill:
            raise Killed

    def _apply(self, obj: dict[str, Any]) -> None:
        key = (obj["kind"], obj["metadata"]["name"])
        if obj["kind"] in ("Secret", "ControllerRevision") and key in self.children:
            return
        if obj["kind"] == "ConfigMap" and obj.get("immutable") and key in self.children:
            assert self.children[key]["data"] == obj["data"]
        self.children[key] = obj
        if obj["kind"] == "ControllerRevision":
            revision = obj["metadata"]["labels"][names.REVISION]
            self.models[revision] = obj["data"]["predictor"]["graph"]["modelUri"]

    def _delete(self, kind: str, name: str) -> None:
        del self.children[kind, name]
        if kind == "Deployment":
            self.pods = {key: pod for key, pod in self.pods.items() if not key.startswith(f"{name}:")}

    def _view(self, kind: str, name: str) -> ChildView | RevisionView:
        obj = self.children[kind, name]
        uid = f"uid-{name}"
        if kind == "ControllerRevision":
            return view_revision(obj | {"metadata": obj["metadata"] | {"uid": uid}})
        pods, template = (
            self._pods_of(name),
            json.dumps(obj["spec"].get("template"), sort_keys=True) if "spec" in obj else "",
        )
        current = [pod for pod in pods if self.templates[pod.name] == template]
        digest = obj["metadata"]["annotations"][names.APPLIED_HASH]
        settled = kind == "Deployment" and len(pods) == len(current) == obj["spec"]["replicas"]
        ready = sum(pod.ready for pod in current)
        desired = obj["spec"]["replicas"] if kind == "Deployment" else 0
        return ChildView(name, uid, digest, "10.1.1.1", len(pods), desired, ready, settled=settled)


def _selects(service: dict[str, Any], pod: PodView) -> bool:
    selector = service["spec"]["selector"]
    return selector.get(names.REVISION, pod.revision) == pod.revision and (
        selector.get(names.PREDICTOR, pod.predictor) == pod.predictor
    )


def _is_served(service: dict[str, Any], deployment: ModelDeployment) -> bool:
    """Return whether the pods that a Service selects have served already."""
    status = deployment.status
    if status.traffic:
        return bool(deployment.spec.replicas) and any(each.traffic_confirmed for each in status.predictors)
    return bool(deployment.spec.replicas) and names.REVISION in service["spec"]["selector"]


def start_cluster(
    seed: int, behave: dict[str, Behaviour] | None = None, rounds: int = 60, **options: Any
) -> RolloutCluster:
    """Return a cluster on which the first revision of a deployment with a rollout serves, if `rounds` are enough."""
    deployment = make_deployment(spec__rollout=POLICY, spec__replicas=3)
    cluster = RolloutCluster(deployment, behave or {}, random.Random(seed), **options)
    for _ in range(rounds):
        cluster.reconcile()
        cluster.step(2)
        if cluster.status.stable_revision and not cluster.status.candidate_revision:
            break
    return cluster
