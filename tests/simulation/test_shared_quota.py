"""Two jobs share a quota that holds only one: neither blocks the other for ever, whoever creates which pod first."""

import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from fairlead.api.training_job import TrainingJob
from fairlead.api.training_job_status import TrainingJobStatus
from fairlead.core import names
from fairlead.core.conditions import Finding, is_true
from fairlead.core.plan import Plan
from fairlead.core.settings import Settings
from fairlead.core.training_job.observed import Gate, Launcher, LauncherReport, ObservedJob
from fairlead.core.training_job.plan import plan_training_job
from fairlead.core.views import PodView

from tests.support.resources import make_job
from tests.support.simulated import START

QUOTA, NEEDED, RUN_SECONDS = 4, 3, 20
REJECTION = Finding("Rejected", "exceeded quota: pods")


@dataclass
class Life:
    """A job, its pods and when it is due."""

    job: TrainingJob
    due: datetime = START
    pods: dict[str, PodView] = field(default_factory=dict)
    complete_since: datetime | None = None
    releases: int = 0

    @property
    def held(self) -> int:
        """Return the number of pods that count for the quota."""
        return sum(not pod.finished for pod in self.pods.values())

    def plan(self, now: datetime, rejection: Finding | None) -> Plan:
        pods = tuple(self.pods.values())
        gate = Gate() if self.job.status.start_time is None else None
        launcher = Launcher(LauncherReport(2, 2)) if self.complete_since else Launcher()
        observed = ObservedJob(pods, service_uid="service", gate=gate, launcher=launcher, rejection=rejection)
        return plan_training_job(self.job, observed, Settings(), now, "k")

    def write(self, plan: Plan) -> None:
        assert isinstance(plan.status, TrainingJobStatus)
        self.job = self.job.model_copy(update={"status": plan.status})
        for deletion in plan.delete:
            if deletion.kind == "Pod":
                del self.pods[deletion.name]
        self.releases += any(event.reason == "ResourcesReleased" for event in plan.events)

    def advance(self, now: datetime) -> None:
        """Run pods; the launcher succeeds some time after all have been there."""
        self.pods = {name: pod if pod.finished else replace(pod, phase="Running") for name, pod in self.pods.items()}
        if len(self.pods) < NEEDED:
            self.complete_since = None
        elif self.complete_since is None:
            self.complete_since = now
        elif (now - self.complete_since).total_seconds() >= RUN_SECONDS:
            self.pods = {name: replace(pod, phase="Succeeded") for name, pod in self.pods.items()}


def reconcile(life: Life, others: list[Life], now: datetime, chance: random.Random) -> None:
    plan = life.plan(now, None)
    pods = [obj for obj in plan.apply if obj["kind"] == "Pod"]
    chance.shuffle(pods)  # they are created in parallel
    rejected = False
    for obj in pods:
        if sum(each.held for each in others) + life.held >= QUOTA:
            rejected = True
            continue
        meta = obj["metadata"]
        role = meta["labels"][names.ROLE]
        life.pods[meta["name"]] = PodView(meta["name"], meta["name"], role, created=now)
    if rejected:
        plan = life.plan(now, REJECTION)
    life.write(plan)
    # the queue's backoff is at most a minute
    life.due = now + timedelta(seconds=min(plan.requeue_after or 60, 60))


@pytest.mark.parametrize("seed", range(40))
def test_both_jobs_succeed(seed: int) -> None:
    chance, now = random.Random(seed), START
    lives = [Life(make_job(metadata__name=name, metadata__uid=f"{name}-{seed}")) for name in ("a", "b")]
    for life in lives:  # each holds a half of the quota at first
        for name in chance.sample([f"{life.job.metadata.name}-{part}" for part in ("launcher", "worker-0")], 2):
            role = names.LAUNCHER if name.endswith("launcher") else names.WORKER
            life.pods[name] = PodView(name, name, role, created=now)
    for _ in range(3600):
        now += timedelta(seconds=1)
        for life in chance.sample(lives, 2):
            life.advance(now)
            if life.due <= now or any(pod.finished for pod in life.pods.values()):
                reconcile(life, [other for other in lives if other is not life], now, chance)
        if all(life.job.status.completion_time for life in lives):
            break
    assert all(is_true(life.job.status.conditions, "Succeeded") for life in lives), [life.job.status for life in lives]
    assert sum(life.releases for life in lives) >= 1
