"""An in-memory cluster for simulated lives of a Sweep: jobs that train, fail, hang or vanish; an operator that dies."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from fairlead.api.sweep import Sweep
from fairlead.api.sweep_status import SweepStatus
from fairlead.core import names
from fairlead.core.plan import Plan
from fairlead.core.sweep.observed import ObservedSweep, Suggestions
from fairlead.core.sweep.plan import plan_sweep
from fairlead.core.sweep.sampling import SamplerQuestion, build_question
from fairlead.core.sweep.values import choose_random
from fairlead.core.views import TrialView

START = datetime(2026, 3, 1, tzinfo=UTC)
STEPS = 100


class Killed(Exception):
    """The operator was killed between two writes."""


@dataclass
class SimulatedSweep:
    """Holds a sweep and the jobs of its trials."""

    sweep: Sweep
    random: random.Random
    kill: float = 0.0
    """The probability that the operator dies after a write."""
    fail: float = 0.0
    """The probability that a job fails at a step of the simulation."""
    hang: float = 0.0
    """The probability that it stops moving for ever, so that its progress deadline fails it much later."""
    vanish: float = 0.0
    """The probability that a user deletes it."""
    forget: float = 0.0
    """The probability that the status is lost, as when a backup is restored."""
    curve: Callable[[dict[str, str], int], float] = lambda values, step: step / STEPS
    """The objective of a job by its parameters and step."""
    jobs: dict[int, TrialView] = field(default_factory=dict)
    hanging: dict[int, int] = field(default_factory=dict)
    now: datetime = START
    created: dict[int, list[dict[str, str]]] = field(default_factory=dict)
    """The parameters of each job that was created, by number."""
    most_running: int = 0
    kills: int = 0
    _uids: int = 0

    def reconcile(self) -> Plan:
        """Observe, plan and execute once, like the operator; it may die at any write."""
        observed = ObservedSweep(tuple(self.jobs[number] for number in sorted(self.jobs)))
        question = build_question(self.sweep, observed)
        if question and self.random.random() < 0.5:
            observed = replace(observed, suggestions=self._answer(question))
        plan = plan_sweep(self.sweep, observed, self.now)
        try:
            self._execute(plan)
        except Killed:
            self.kills += 1
        return plan

    def step(self) -> None:
        """Advance the time and every job a little."""
        self.now += timedelta(seconds=1)
        for number in sorted(self.jobs):
            if self.random.random() < 0.5:
                self._live(number)
        if self.random.random() < self.forget:
            self.sweep = self.sweep.model_copy(update={"status": SweepStatus()})

    def run(self, steps: int = 4000) -> SweepStatus:
        """Reconcile and step until the sweep has finished and nothing changes any more; return its status."""
        for _ in range(steps):
            plan = self.reconcile()
            if self.sweep.status.completion_time and not plan.patches and not plan.apply_last:
                return self.sweep.status
            self.step()
        raise AssertionError(f"not finished after {steps} steps: {self.sweep.status}")

    def running(self) -> list[TrialView]:
        """Return the jobs that have not ended and are not suspended."""
        return [job for job in self.jobs.values() if not job.finished and not job.suspended]

    def _answer(self, question: SamplerQuestion) -> Suggestions:
        values = {number: choose_random(question.parameters, self.random.getrandbits(20), number)
                  for number in question.numbers}  # fmt: skip
        return Suggestions(values)

    def _live(self, number: int) -> None:
        job = self.jobs[number]
        if self.random.random() < self.vanish:
            del self.jobs[number]
        elif job.finished:
            return
        elif job.suspended:
            self.jobs[number] = replace(job, started=False, phase="Suspended")
        elif not job.started:
            self.jobs[number] = replace(job, started=True, phase="Running")
        elif number in self.hanging:
            self.hanging[number] += 1
            if self.hanging[number] > 50:
                self.jobs[number] = replace(job, phase="Failed", message="Step 7 was not left since …")
        elif self.random.random() < self.hang:
            self.hanging[number] = 0
        elif self.random.random() < self.fail:
            self.jobs[number] = replace(job, phase="Failed", message="Worker 1 exited with code 3.")
        else:
            step = min(job.step + self.random.randint(1, 20), STEPS)
            metrics = (("accuracy", self.curve(dict(job.values), step)),)
            self.jobs[number] = replace(
                job, step=step, metrics=metrics, phase="Succeeded" if step == STEPS else "Running"
            )

    def _execute(self, plan: Plan) -> None:
        assert isinstance(plan.status, SweepStatus)
        assert not plan.apply
        assert not plan.delete
        if plan.status != self.sweep.status:
            self.sweep = self.sweep.model_copy(update={"status": plan.status})
            self._maybe_die()
        for patch in plan.patches:
            number = int(patch.name[-4:])
            assert self.jobs[number].uid == patch.uid
            self.jobs[number] = replace(self.jobs[number], suspended=patch.body["spec"]["runPolicy"]["suspend"])
            self._maybe_die()
        self._note()
        for obj in plan.apply_last:
            number = int(obj["metadata"]["labels"][names.TRIAL])
            assert obj["metadata"]["name"] == names.trial_name(self.sweep, number)
            assert number not in self.jobs, "a job was created twice"
            self._uids += 1
            values = json.loads(obj["metadata"]["annotations"][names.TRIAL_PARAMETERS])
            self.created.setdefault(number, []).append(values)
            self.jobs[number] = TrialView(
                obj["metadata"]["name"], f"uid-{self._uids}", number, tuple(values.items()), total_steps=STEPS
            )
            self._note()
            self._maybe_die()

    def _note(self) -> None:
        self.most_running = max(self.most_running, len(self.running()))

    def _maybe_die(self) -> None:
        if self.random.random() < self.kill:
            raise Killed
