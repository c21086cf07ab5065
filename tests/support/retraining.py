"""A simulated cluster whose requests drift: it runs TrainingJobs and converters, and rollouts measure their models."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from fairlead.api.base import ArtifactRef, Condition
from fairlead.api.retrain import RetrainRun, RetrainStatus
from fairlead.core import names
from fairlead.core.model_deployment.drift import DriftMeasures
from fairlead.core.model_deployment.observed import ObservedDeployment, ObservedRetraining
from fairlead.core.views import JobView, PodView
from fairlead_contracts.termination import PublishedModel, SuccessReport, encode_report

from tests.support.resources import DIGEST, DRIFT, RETRAIN, Object, change, make_deployment
from tests.support.rollouts import POLICY, Behaviour, RolloutCluster

URI = "s3://models/digits/v1"
TRAINED = ("s3://models/digits/digits-0000aaaa", "sha256:" + "cd" * 32)
"""The model of which the one at URI is a conversion."""
COOL_DOWN = RETRAIN["coolDownSeconds"]
MONITORED: Object = {
    "spec__predictors__0__graph": {"name": "model", "modelUri": URI},
    "spec__rollout": POLICY,
    "spec__replicas": 3,
    "spec__monitor": {"drift": DRIFT, "retrain": RETRAIN},
}
EDITED = change(RETRAIN, template__spec__dataset__uri="s3://datasets/digits/v3")
"""The same with newer data."""


@dataclass
class Fates:
    """What becomes of jobs and converters; each is called with nothing and decides anew."""

    job_fails: Callable[[], bool] = lambda: False
    conversion_fails: Callable[[], bool] = lambda: False
    evicted: Callable[[], bool] = lambda: False
    """Whether a converter that could end is evicted instead."""
    trains: Callable[[], bool] = lambda: True
    """Whether a job gets on."""


@dataclass
class DriftingCluster(RolloutCluster):
    """A deployment whose requests drift when `shift` is called, until a model is stable that was trained afterwards."""

    fates: Fates = field(default_factory=Fates)
    shifts: int = 0
    trained_at: dict[str, int] = field(default_factory=lambda: {URI: 0})
    """The number of shifts before a model was trained."""
    unsigned: bool = False
    """Whether retrained models lack the signature that is required."""
    bad_models: bool = False
    """Whether new models fail a third of their requests."""
    jobs: dict[str, JobView] = field(default_factory=dict)
    objects: dict[str, Object] = field(default_factory=dict)
    """The jobs as they were created."""
    converters: dict[str, PodView] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    """The names of the jobs, in the order of their creation."""
    elapsed: float = 0.0
    """Seconds, whatever the clock says."""
    ended_at: float | None = None
    """When the last run has ended, in these seconds."""
    ended: set[str] = field(default_factory=set)
    user_spec: Any = None
    monitor: Object = field(default_factory=lambda: MONITORED)

    @property
    def retrain(self) -> RetrainStatus:
        """Return what the status says of runs."""
        return self.status.retrain or RetrainStatus()

    @property
    def run(self) -> RetrainRun:
        """Return the last run."""
        assert self.retrain.run
        return self.retrain.run

    @property
    def condition(self) -> Condition | None:
        """Return the condition `Retraining`."""
        return next((each for each in self.status.conditions if each.type == "Retraining"), None)

    def shift(self) -> None:
        """Let the requests drift from what all models were trained on."""
        self.shifts += 1

    def edit(self, **changes: Any) -> None:
        """Change the spec, as a user would."""
        super().edit(**{**self.monitor, **changes})
        self.user_spec = self.deployment.spec

    def serving(self) -> str:
        """Return the modelUri of the stable revision."""
        return self.models.get(self.status.stable_revision or "", "")

    def reconcile(self) -> None:
        """Reconcile, and check what must always hold."""
        self.user_spec = self.user_spec or self.deployment.spec
        super().reconcile()
        assert self.deployment.spec is self.user_spec, "the spec is the user's"
        assert sum(not job.finished for job in self.jobs.values()) <= 1, "two jobs at once"
        run = self.retrain.run
        if run and run.ended_at and run.job not in self.ended:
            self.ended.add(run.job)
            self.ended_at = self.elapsed

    def observe(self) -> ObservedDeployment:
        """Return what the operator sees."""
        runs = ObservedRetraining(tuple(self.jobs.values()), tuple(self.converters.values()))
        seen = super().observe()
        parents = (ArtifactRef(name="model", uri=TRAINED[0], digest=TRAINED[1]),)
        nodes = tuple(
            replace(node, artifact=replace(node.artifact, parents=parents)) if node.model_uri == URI else node
            for node in seen.artifacts.nodes
        )
        if self.unsigned:
            nodes = tuple(
                replace(node, artifact=replace(node.artifact, unsigned="it has no signature"))
                if node.model_uri in self.trained_at and node.model_uri != URI
                else node
                for node in nodes
            )
        artifacts = replace(seen.artifacts, nodes=nodes)
        return replace(seen, artifacts=artifacts, drift=self._measure(), retraining=runs)

    def step(self, seconds: float) -> None:
        """Let time pass: jobs and converters get on, too."""
        super().step(seconds)
        self.elapsed += seconds
        for name, job in list(self.jobs.items()):
            if job.deleting:
                del self.jobs[name]
            elif self.fates.trains() and self.random.random() < 0.3:
                self.jobs[name] = self._train(job)
        for name, pod in list(self.converters.items()):
            if pod.deleting:
                del self.converters[name]
            elif self.random.random() < 0.3:
                self.converters[name] = self._convert(pod)

    def delete_job(self) -> None:
        """Delete all jobs, as a user would."""
        self.jobs = {name: replace(job, deleting=True) for name, job in self.jobs.items()}

    def _measure(self) -> DriftMeasures | None:
        uri = self.serving()
        if not uri:
            return None
        drifted = 5 * (self.trained_at.get(uri, self.shifts) < self.shifts)
        return DriftMeasures(
            self.now, servers=3, answered=3, models=names.short_hash(uri), rows=1000, columns=10, exceeded=drifted,
            above=drifted,
        )  # fmt: skip

    def _train(self, job: JobView) -> JobView:
        if job.finished:
            return job
        if job.phase != "Running":
            return replace(job, phase="Running", checkpoints=f"s3://checkpoints/digits/{job.name}-{job.uid[:8]}")
        if self.fates.job_fails():
            return replace(job, phase="Failed", message="Worker 0 failed with exit code 3.")
        uri = f"s3://models/digits/{job.name}-{job.uid[:8]}"
        dataset = (self.objects[job.name]["spec"]["dataset"]["uri"], DIGEST)
        return replace(job, phase="Succeeded", model=(uri, DIGEST), dataset=dataset)

    def _convert(self, pod: PodView) -> PodView:
        if pod.finished:
            return pod
        if self.fates.evicted():
            return replace(pod, phase="Failed", exit_code=137, disruption="EvictionByEvictionAPI: …")
        if self.fates.conversion_fails():
            message = "fairlead-onnx-converter: rejected, nothing was published: accuracy 0.1"
            return replace(pod, phase="Failed", exit_code=2, termination_message=message)
        words = self.objects[pod.name]["spec"]["containers"][0]["command"]
        uri = next(word for word in words if word.startswith("--out-uri=")).partition("=")[2]
        report = SuccessReport(model=PublishedModel(uri=uri, digest=DIGEST))
        return replace(pod, phase="Succeeded", exit_code=0, termination_message=encode_report(report).decode())

    def _apply(self, obj: dict[str, Any]) -> None:
        name = obj["metadata"]["name"]
        if obj["kind"] == "TrainingJob":
            self._create_job(name, obj)
        elif obj["kind"] == "Pod":
            self.objects[name] = obj
            self.converters.setdefault(name, PodView(name, f"uid-{next(self._uids)}", role=names.CONVERTER))
        else:
            super()._apply(obj)

    def _create_job(self, name: str, obj: dict[str, Any]) -> None:
        if name in self.jobs:
            return
        if self.ended_at is not None:
            assert self.elapsed - self.ended_at >= COOL_DOWN, "a run in the cool-down"
        self.objects[name] = obj
        self.jobs[name] = JobView(name, f"{next(self._uids):08d}-0000")
        self.created.append(name)
        uri = names.converted_uri(f"s3://models/digits/{name}-{self.jobs[name].uid[:8]}")
        self.trained_at[uri] = self.shifts
        if self.bad_models:
            self.behave[uri] = Behaviour(errors=0.3)

    def _delete(self, kind: str, name: str) -> None:
        if kind == "TrainingJob":
            self.jobs[name] = replace(self.jobs[name], deleting=True)
        elif kind == "Pod":
            self.converters[name] = replace(self.converters[name], deleting=True)
        else:
            super()._delete(kind, name)


def start_drifting(seed: int, **options: Any) -> DriftingCluster:
    """Return a cluster on which the first revision serves, and nothing has drifted."""
    cluster = DriftingCluster(make_deployment(**MONITORED), {}, random.Random(seed), **options)
    for _ in range(60):
        cluster.reconcile()
        cluster.step(2)
        if cluster.status.stable_revision:
            return cluster
    raise AssertionError(f"no stable revision: {cluster.status}")


def run_for(cluster: DriftingCluster, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
    """Reconcile and let time pass."""
    end = cluster.elapsed + seconds
    while cluster.elapsed < end and not until():
        cluster.reconcile()
        cluster.step(cluster.random.choice((0.5, 1.0, 2.0)))


def jump(cluster: DriftingCluster, hours: float) -> None:
    """Set the operator's clock."""
    cluster.now += timedelta(hours=hours)
