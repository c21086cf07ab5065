"""The life of one job with one fault: from its creation to its end, watched all the time."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlead.client.errors import FairleadError
from fairlead_artifacts import ArtifactError, read_manifest

from tests.chaos.jobs.faults import BEFORE, ENDS, STARTED, TRAINS, Fault
from tests.chaos.jobs.job import CHECKPOINT_STEPS, STEPS, WORKERS, build_job
from tests.chaos.jobs.stage import Stage
from tests.chaos.workers.ledger import Account, audit
from tests.support.trainings.steps import read_entries

Object = dict[str, Any]
NAMED_SECONDS = 15.0
"""Within how many seconds a condition must name the cause."""
_LIFE_SECONDS, _POLL_SECONDS = 420.0, 0.25
_EARLY_STEP = 2 * CHECKPOINT_STEPS + 3
"""Where a fault in the training begins: two checkpoints are saved, and the next one is not due at once."""


@dataclass
class Life:
    """One life; `run` lives it, and `problems` has what is wrong with it."""

    stage: Stage
    fault: Fault
    elastic: bool
    steps: Path
    """The folder of the trainings' logs."""
    problems: list[str] = field(default_factory=list)
    named_after: float | None = None
    """Seconds from the fault's begin until a condition named its cause."""
    named: str = ""
    """What it said."""
    seconds: float = 0.0
    job: Object = field(default_factory=dict)
    """The job when it was last read."""
    account: Account | None = None
    _began: float | None = None
    _verdict: str = ""

    def run(self) -> None:
        """Live."""
        self.steps.mkdir()
        born = time.monotonic()
        try:
            self._live()
            self._check()
        except AssertionError as error:
            self.problems.append(str(error))
        self.seconds = time.monotonic() - born
        try:
            self.stage.delete("trainingjob", self.stage.job)
            self._wait("lose its pods", lambda: not self.stage.list_pods(), 90)
        except AssertionError as error:
            self.problems.append(str(error))

    def _live(self) -> None:
        if self.fault.when == BEFORE:
            self._begin()
        job = build_job(self.stage.job, self.steps, elastic=self.elastic, **self.fault.job)
        self.stage.cluster.apply(job)
        if self.fault.when == BEFORE:
            self._began = time.monotonic()  # before, there was nobody to notice it
        else:
            self._wait(f"reach its fault ({self.fault.when})", self._is_due, _LIFE_SECONDS)
            self._begin()
        end = time.monotonic() + self.fault.seconds
        self._wait(
            "", lambda: time.monotonic() >= end or bool(self.fault.job and self._ended()), self.fault.seconds + 60
        )
        self.fault.end(self.stage)
        self._wait("end", self._ended, _LIFE_SECONDS)

    def _begin(self) -> None:
        self._began = time.monotonic()
        self.fault.begin(self.stage)

    def _is_due(self) -> bool:
        if self.fault.when == STARTED:
            return bool(self.stage.list_pods())
        step = self._status("progress").get("step", 0)
        assert not self._ended(), f"{self.stage.job} ended before its fault"
        return bool(step >= {TRAINS: _EARLY_STEP, ENDS: STEPS - 1}[self.fault.when])

    def _wait(self, what: str, holds: Callable[[], bool], seconds: float) -> None:
        """Watch the job until a condition holds; raise AssertionError if it does not in time."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, (
                f"the job does not {what} within {seconds:g} s: {self.job.get('status')}"
            )
            time.sleep(_POLL_SECONDS)
            self._look()

    def _look(self) -> None:
        """Read the job, and check what must hold at each time."""
        try:
            self.job = self.stage.cluster.get("trainingjob", self.stage.job)
            pods = self.stage.list_pods()
        except (FairleadError, AssertionError):
            return  # the API server is away, or the job is not created yet or deleted
        if len(pods) > WORKERS + 1:
            self.problems.append(f"pods: got {[pod['metadata']['name'] for pod in pods]}, expected at most 3")
        phase = self._phase()
        if self._verdict and phase != self._verdict:
            self.problems.append(f"status.phase: got {phase} after {self._verdict}")
        self._verdict = phase if self._ended() else ""
        if self._began is not None and self.named_after is None and self.fault.named:
            self._look_for_cause(time.monotonic() - self._began)

    def _look_for_cause(self, seconds: float) -> None:
        for condition in self.job.get("status", {}).get("conditions", []):
            text = f"{condition['reason']}: {condition['message']}"
            if re.search(self.fault.named, text, re.DOTALL):
                self.named_after, self.named = seconds, text

    def _check(self) -> None:
        """Compare the end with what must come of the fault."""
        fault, workers = self.fault, self._status("workers")
        if self._phase() != fault.phase:
            self.problems.append(f"status.phase: got {self._phase()}, expected {fault.phase}: {self._explain()}")
        least, most = fault.elastic_restarts if self.elastic else fault.restarts
        if not least <= workers.get("restarts", 0) <= most:
            self.problems.append(f"status.workers.restarts: got {workers}, expected {least} to {most}")
        if fault.named and self.named_after is None:
            self.problems.append(f"no condition matched {fault.named!r}: {self._explain()}")
        elif self.named_after is not None and self.named_after > NAMED_SECONDS:
            self.problems.append(f"the cause was named after {self.named_after:.0f} s, expected {NAMED_SECONDS:g} s")
        if fault.phase == "Succeeded":
            self._check_training()
            self._check_model()
        if fault.older:
            self._check_older()

    def _check_training(self) -> None:
        """Find steps that the trainings' logs lack, and work that was lost though a checkpoint had it."""
        account = audit(read_entries(self.steps), 1 if self.elastic else WORKERS, WORKERS, STEPS)
        # an older checkpoint loses what the damaged one had, by design
        self.problems += [
            problem for problem in account.problems if not (self.fault.older and "went on from" in problem)
        ]
        self.account = account

    def _check_model(self) -> None:
        model = next((item for item in self._status("provenance", []) if item["name"] == "model"), None)
        if model is None:
            self.problems.append("status.provenance: got no model, though the job has succeeded")
            return
        try:
            read_manifest(model["uri"], model["digest"])
        except ArtifactError as error:
            self.problems.append(f"the model of a job that has succeeded: {error}")

    def _check_older(self) -> None:
        progress, resumed = self._status("progress"), self._status("resumedFromStep", 0)
        damaged = progress.get("damagedSteps") or []
        if not damaged or not 0 < resumed < min(damaged):
            self.problems.append(f"status.progress: got {progress}, expected damagedSteps after {resumed}")

    def _status(self, key: str, default: Any = None) -> Any:
        return self.job.get("status", {}).get(key) or ({} if default is None else default)

    def _phase(self) -> str:
        return str(self.job.get("status", {}).get("phase", ""))

    def _explain(self) -> list[str]:
        true = [item for item in self.job.get("status", {}).get("conditions", []) if item["status"] == "True"]
        return [f"{item['type']}: {item['reason']}: {item['message'][:300]}" for item in true]

    def _ended(self) -> bool:
        return "completionTime" in self.job.get("status", {})
