"""An in-memory cluster for simulated runs of a TrainingJob: it applies plans and runs scripted pods."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from fairlead.api.training_job import TrainingJob
from fairlead.api.training_job_status import TrainingJobStatus
from fairlead.core import names
from fairlead.core.plan import Deletion, Plan
from fairlead.core.settings import Settings
from fairlead.core.training_job.observed import Gate, Launcher, LauncherReport, ObservedJob
from fairlead.core.training_job.plan import plan_training_job
from fairlead.core.views import PodView

START = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass
class SimulatedCluster:
    """Holds a job and its pods. `live` advances a pod by one step."""

    job: TrainingJob
    live: Callable[[PodView, "SimulatedCluster"], PodView | None]
    random: random.Random
    pods: dict[str, PodView] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)
    now: datetime = START
    most_pods: int = 0
    first_pods: dict[int, datetime] = field(default_factory=dict)
    """When the first pod of each attempt was created."""
    status_writes: int = 0
    lose_status: float = 0.0
    """The probability that the operator crashes between its last apply and the status."""
    never_register: frozenset[int] = frozenset()
    """The workers whose agents never reach the launcher."""
    _uids: int = 0

    def reconcile(self) -> Plan:
        """Observe, plan and execute once, like the operator."""
        observed = ObservedJob(
            pods=tuple(sorted(self.pods.values(), key=lambda pod: pod.name)),
            service_uid="service" if "Service" in self.kinds else "",
            gate=Gate() if self.job.status.start_time is None else None,
            launcher=self.read_launcher(),
        )
        plan = plan_training_job(self.job, observed, Settings(), self.now, key="k" * 64)
        self._execute(plan)
        return plan

    def read_launcher(self) -> Launcher:
        """Return what the launcher reports: the workers that have started have registered."""
        pods = [pod for pod in self.pods.values() if pod.attempt == self.job.status.workers.restarts]
        if not any(pod.role == names.LAUNCHER and pod.phase == "Running" for pod in pods):
            return Launcher()
        registered = {pod.index for pod in pods if pod.role == names.WORKER and pod.phase != "Pending"}
        registered -= self.never_register
        desired = self.job.spec.workers.replicas
        missing = tuple(index for index in range(desired) if index not in registered)
        return Launcher(LauncherReport(len(registered), desired, missing, read=self.now))

    def step(self) -> None:
        """Advance the time and one randomly chosen pod."""
        self.now += timedelta(seconds=self.random.choice((0.1, 1, 3)))
        if self.pods:
            name = self.random.choice(sorted(self.pods))
            pod = self.pods[name]
            after = None if pod.deleting else self.live(pod, self)
            if after is None:
                del self.pods[name]
            else:
                ended = after.ended or (self.now if after.finished else None)
                self.pods[name] = replace(after, ended=ended)

    def run_until_quiet(self, steps: int = 3000) -> None:
        """Reconcile and step until the job has finished and nothing is left to do."""
        for _ in range(steps):
            plan = self.reconcile()
            deletes = plan.delete or plan.delete_counted
            waits = plan.requeue_after is not None or deletes or any(pod.deleting for pod in self.pods.values())
            if self.job.status.completion_time and not waits:
                return
            self.step()
        raise AssertionError(f"not finished after {steps} steps: {self.job.status}")

    def _execute(self, plan: Plan) -> None:
        self._delete(plan.delete)
        for obj in plan.apply:
            self.kinds.add(obj["kind"])
            if obj["kind"] == "Pod":
                self._create(obj)
        self.most_pods = max(self.most_pods, len(self.pods))
        if self.random.random() < self.lose_status:
            return
        assert isinstance(plan.status, TrainingJobStatus)
        if plan.status != self.job.status:
            self.status_writes += 1
            self.job = self.job.model_copy(update={"status": plan.status})
        self._delete(plan.delete_counted)

    def _delete(self, deletions: Iterable[Deletion]) -> None:
        for deletion in deletions:
            if deletion.kind != "Pod":
                self.kinds.discard(deletion.kind)
            pod = self.pods.get(deletion.name)
            if pod and pod.uid == deletion.uid:
                self.pods[deletion.name] = replace(pod, deleting=True)

    def _create(self, obj: dict[str, object]) -> None:
        meta: dict[str, dict[str, str]] = obj["metadata"]  # type: ignore[assignment]
        name, labels = str(meta["name"]), meta["labels"]
        assert name not in self.pods, f"{name} exists"
        self._uids += 1
        self.first_pods.setdefault(int(labels[names.ATTEMPT]), self.now)
        self.pods[name] = PodView(
            name=name, uid=str(self._uids), role=labels[names.ROLE], index=int(labels[names.WORKER_INDEX]),
            attempt=int(labels[names.ATTEMPT]),
        )  # fmt: skip
