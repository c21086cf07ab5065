"""Simulated lives of a training that moves and then hangs, whatever becomes of the reads and of the operator."""

import random
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fairlead.api.training_job import TrainingJob
from fairlead.api.training_job_status import Progress
from fairlead.core import names
from fairlead.core.settings import Settings
from fairlead.core.training_job.observed import Launcher, LauncherReport, ObservedJob
from fairlead.core.training_job.plan import plan_training_job
from fairlead.core.views import PodView

from tests.support.resources import make_job

START = datetime(2026, 3, 1, tzinfo=UTC)
DEADLINE, SLOWEST_STEP, LONGEST_LAG = 60, 40, 30
TICK = 0.5
SETTINGS = Settings()


class Life:
    """A running job whose launcher is read now and then, and whose reports are published late."""

    def __init__(self, seed: int, hangs_after: float) -> None:
        self.random, self.hangs_after = random.Random(seed), hangs_after
        self.now, self.step, self.next_step = START, 0, START
        self.read: LauncherReport | None = None
        self.waiting: deque[tuple[datetime, LauncherReport]] = deque()
        self.published: LauncherReport | None = None
        self.last_moved, self.writes = START, 0
        self.job: TrainingJob = make_job(spec__runPolicy={"progressDeadlineSeconds": DEADLINE, "backoffLimit": 1})
        self.pods = tuple(
            PodView(f"digits-{name}", name, role, index, phase="Running", created=START)
            for name, role, index in (
                ("launcher", names.LAUNCHER, 0), ("worker-0", names.WORKER, 0), ("worker-1", names.WORKER, 1),
            )
        )  # fmt: skip

    def tick(self) -> None:
        self.now += timedelta(seconds=TICK)
        hangs = (self.now - START).total_seconds() >= self.hangs_after
        if self.now >= self.next_step and not hangs:
            self.step, self.last_moved = self.step + 1, self.now
            self.next_step = self.now + timedelta(seconds=self.random.uniform(0.1, SLOWEST_STEP))
        if self.random.random() < 0.2:
            progress = Progress(step=self.step) if self.step else None
            self.read = LauncherReport(2, 2, read=self.now, step=progress and progress.step, progress=progress)
            self.waiting.append((self.now + timedelta(seconds=self.random.uniform(0, LONGEST_LAG)), self.read))
        if self.random.random() < 0.005:  # another operator knows the status alone
            self.read, self.published = None, None
            self.waiting.clear()
        while self.waiting and self.waiting[0][0] <= self.now:
            self.published = self.waiting.popleft()[1]
        self.reconcile()

    def reconcile(self) -> None:
        report = self.published
        if report and self.read:
            report = replace(report, read=self.read.read, step=self.read.step)
        observed = ObservedJob(self.pods, service_uid="service", launcher=Launcher(report))
        status = plan_training_job(self.job, observed, SETTINGS, self.now, key="k").status
        self.writes += status != self.job.status
        self.job = self.job.model_copy(update={"status": status})


@pytest.mark.parametrize("seed", range(40))
def test_a_job_is_restarted_only_when_it_hangs_and_soon_then(seed: int) -> None:
    life = Life(seed, hangs_after=600)
    while not life.job.status.workers.restarts:
        life.tick()
        assert (life.now - START).total_seconds() < 900, "the hang was not found"
    still = (life.now - life.last_moved).total_seconds()
    # after its last step, reports wait for their turn, once more for each operator
    assert DEADLINE - 1 <= still <= DEADLINE + 4 * LONGEST_LAG
    # one for the start and one for the restart; progress at most every two seconds
    assert life.writes <= 2 + (life.now - START).total_seconds() / SETTINGS.progress_seconds
