"""An in-memory cluster for simulated rollouts: it applies plans, starts pods, and serves requests."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fairlead.api.model_deployment import ModelDeployment, ModelDeploymentStatus
from fairlead.core import names
from fairlead.core.artifacts import ArtifactFacts
from fairlead.core.model_deployment.observed import (
    Artifacts,
    NodeArtifact,
    ObservedDeployment,
    ObservedTraffic,
    ServerReading,
    ServiceAnswer,
)
from fairlead.core.model_deployment.plan import plan_model_deployment
from fairlead.core.model_deployment.traffic import build_document
from fairlead.core.plan import Event
from fairlead.core.settings import Settings
from fairlead.core.views import ChildView, PodView, RevisionView
from fairlead.kube.views import view_revision
from fairlead_contracts.traffic import BOUNDS, Agreement, Counts, RouteFacts, TrafficDocument, TrafficFacts

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
    """A graph server of a revision: it has a document, and counts in its window."""

    revision: str
    document: TrafficDocument | None = None
    counts: list[int] = field(default_factory=lambda: [0, 0, 0, 0, 0])
    """Requests, errors, slow ones, compared, agreed."""

    def put(self, document: TrafficDocument) -> None:
        """Accept a document of this revision, unless a newer one is known."""
        if document.revision != self.revision or (self.document and document.generation < self.document.generation):
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
    now: datetime = START
    children: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    pods: dict[str, PodView] = field(default_factory=dict)
    servers: dict[str, Server] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    """The modelUri of each revision."""
    events: list[Event] = field(default_factory=list)
    lost: int = 0
    """Requests that were forwarded to a revision that no longer exists, or found no ready pod."""
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
        except Killed:
            return

    def observe(self) -> ObservedDeployment:
        """Return what the operator sees, after it has told servers what the stored status says."""
        document = build_document(self.deployment)
        readings = []
        for pod in self.pods.values():
            if document is None or pod.revision != document.revision or not pod.ready or pod.deleting:
                continue
            server = self.servers[pod.name]
            if self.random.random() < self.deaf:
                readings.append(ServerReading(pod.uid, error="no answer"))
                continue
            server.put(document)
            readings.append(ServerReading(pod.uid, server.read()))
        nodes = [node for node in self.deployment.spec.predictors[0].graph.walk() if node.model_uri]
        uris = [(node.name, node.model_uri or "") for node in nodes]
        artifacts = tuple(NodeArtifact(name, uri, ArtifactFacts(uri, DIGEST)) for name, uri in uris)
        by_kind: dict[str, list[Any]] = {"Deployment": [], "Service": [], "ConfigMap": [], "ControllerRevision": []}
        for kind, name in self.children:
            if kind in by_kind:
                by_kind[kind].append(self._view(kind, name))
        return ObservedDeployment(
            tuple(by_kind["Deployment"]), tuple(by_kind["Service"]), tuple(by_kind["ConfigMap"]),
            tuple(self.pods.values()), Artifacts(artifacts), ServiceAnswer(200),
            revisions=tuple(by_kind["ControllerRevision"]), traffic=ObservedTraffic(tuple(readings)),
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
        selector = service["spec"]["selector"] if service else {}
        wanted = selector.get(names.REVISION)
        ready = [pod for pod in self.pods.values() if pod.ready and wanted in (None, pod.revision)]
        if wanted and self.deployment.spec.replicas and not ready:
            self.lost += requests
        for _ in range(requests if ready else 0):
            self._answer(self.servers[self.random.choice(ready).name])

    def _answer(self, server: Server) -> None:
        for route in server.document.routes if server.document else ():
            draw = self.random.random() * 100
            live = draw < route.percent
            copied = not live and self.random.random() * 100 < route.mirror_percent
            if not live and not copied:
                continue
            behaviour = self.behave.get(self.models.get(route.name, ""), Behaviour())
            pods = [pod for pod in self.pods.values() if pod.revision == route.name and pod.ready]
            if live and ("Deployment", names.revision_name(self.deployment, route.name)) not in self.children:
                self.lost += 1
            failed = not pods or self.random.random() < behaviour.errors
            server.counts[0] += 1
            server.counts[1] += failed
            server.counts[2] += self.random.random() < behaviour.slow
            if copied:
                server.counts[3] += 1
                server.counts[4] += not failed and self.random.random() >= behaviour.differing

    def _run_pods(self, name: str, obj: dict[str, Any]) -> None:
        labels = obj["spec"]["template"]["metadata"]["labels"]
        revision = labels.get(names.REVISION, "")
        behaviour = self.behave.get(self.models.get(revision, ""), Behaviour())
        own = [pod for pod in self.pods.values() if pod.name.startswith(f"{name}:")]
        for pod in own[obj["spec"]["replicas"] :]:
            del self.pods[pod.name]
        for _ in range(obj["spec"]["replicas"] - len(own)):
            pod = PodView(f"{name}:{next(self._uids)}", f"uid-{next(self._uids)}", revision=revision, ip="10.0.0.1")
            self.pods[pod.name], self.servers[pod.name] = pod, Server(revision)
        for pod in own:
            ready = not (behaviour.crashes or behaviour.never_ready) and self.random.random() < 0.8
            if pod.ready:
                ready = not behaviour.flaps or self.random.random() < 0.5
            crashed = {"restarts": pod.restarts + 1, "waiting": "CrashLoopBackOff"} if behaviour.crashes else {}
            if pod.name in self.pods:
                self.pods[pod.name] = replace(pod, phase="Running", ready=ready, **crashed)

    def _survive(self) -> None:
        if self.random.random() < self.kill:
            raise Killed

    def _apply(self, obj: dict[str, Any]) -> None:
        key = (obj["kind"], obj["metadata"]["name"])
        if obj["kind"] in ("Secret", "ControllerRevision") and key in self.children:
            return
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
        pods = [pod for pod in self.pods.values() if pod.name.startswith(f"{name}:")]
        ready = sum(pod.ready for pod in pods)
        digest = obj["metadata"]["annotations"][names.APPLIED_HASH]
        settled = kind == "Deployment" and len(pods) == obj["spec"]["replicas"]
        return ChildView(name, uid, digest, "10.1.1.1", len(pods), ready, settled=settled)


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
