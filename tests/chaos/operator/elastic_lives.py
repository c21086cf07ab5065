"""The lives of elastic jobs, and of one with checkpoints: what their launcher says is part of the life."""

from typing import Any

from fairlead.kube.kinds import POD, SERVICE, TRAINING_JOB
from fairlead_contracts.launcher_status import ElasticRun
from fairlead_contracts.progress import ProgressReport

from tests.chaos.operator.stage import Life, Object, Stage, has_phase
from tests.support.resources import TRAINING_JOB as JOB_EXAMPLE
from tests.support.resources import change

_COOLDOWN_SECONDS = 1


def _build_job(**changes: Any) -> Object:
    return change(JOB_EXAMPLE, spec__runPolicy={"backoffLimit": 0, "disruptionLimit": 0}, **changes)


async def _start(stage: Stage) -> None:
    """Start an elastic job of two workers."""
    elastic = {"minReplicas": 1, "maxReplicas": 3, "hostCooldownSeconds": _COOLDOWN_SECONDS}
    await stage.create(TRAINING_JOB, _build_job(spec__elastic=elastic))
    await stage.wait(TRAINING_JOB, "Running", has_phase("Running"))


async def _scale(stage: Stage, workers: int) -> None:
    """Scale the job, wait for its pods, and let its launcher begin the next epoch with them."""
    stage.script.workers = workers
    await stage.patch(TRAINING_JOB, {"workers": {"replicas": workers}})
    await stage.wait_until(f"of {workers} workers", lambda: stage.has_running(workers + 1))
    await _begin_epoch(
        stage, ElasticRun(epoch=1, workers=workers, reason="WorkersJoined" if workers > 2 else "WorkersLeft")
    )


async def _begin_epoch(stage: Stage, run: ElasticRun) -> None:
    """Let the launcher report an epoch, and wait until the job's status says so."""
    assert stage.launcher is not None
    stage.launcher.workers, stage.launcher.elastic = run.workers, run
    await stage.wait(TRAINING_JOB, "of the next epoch", lambda job: _epoch(job) == (run.epoch, run.workers))


def _epoch(job: Object) -> tuple[int, int]:
    status = job.get("status", {})
    elastic = status.get("elastic") or {}
    return elastic.get("epoch", 0), elastic.get("workers", 0)


async def _succeed(stage: Stage) -> None:
    stage.script.released.set()
    await stage.wait(TRAINING_JOB, "finished", has_phase("Succeeded", "Failed"))
    await stage.wait_until("without its Service", lambda: stage.is_without(SERVICE))


async def _grow(stage: Stage) -> None:
    await _start(stage)
    await _scale(stage, 3)
    await _succeed(stage)


async def _shrink(stage: Stage) -> None:
    await _start(stage)
    await _scale(stage, 1)
    await _succeed(stage)


async def _lose_worker(stage: Stage) -> None:
    await _start(stage)
    before = await stage.list_uids(POD)
    await stage.kubelet.fail_worker(stage.namespace, 1)
    await _begin_epoch(stage, ElasticRun(epoch=1, workers=1, lost_workers=1, lost_steps=3, reason="WorkersLost"))

    async def replaced() -> bool:
        return await stage.has_running(3) and await stage.list_uids(POD) != before

    await stage.wait_until("of a new worker", replaced)
    await _begin_epoch(stage, ElasticRun(epoch=2, workers=2, lost_workers=1, lost_steps=3, reason="WorkersJoined"))
    await _succeed(stage)


async def _resume(stage: Stage) -> None:
    """A job is suspended and goes on from its checkpoint."""
    assert stage.launcher is not None
    checkpoint = {"uri": (stage.models / "checkpoints").as_uri(), "everySteps": 5}
    stage.launcher.progress = ProgressReport(step=7, total_steps=10, checkpoint_step=5)
    await stage.create(TRAINING_JOB, _build_job(spec__checkpoint=checkpoint))
    await stage.wait(TRAINING_JOB, "at its checkpoint", lambda job: _progress(job).get("checkpointStep") == 5)
    await stage.patch(TRAINING_JOB, {"runPolicy": {"suspend": True}})
    await stage.wait(TRAINING_JOB, "Suspended", has_phase("Suspended"))
    await stage.wait_until("without pods", lambda: stage.is_without(POD))
    stage.launcher.progress = ProgressReport(step=6, total_steps=10, checkpoint_step=5, resumed_from_step=5)
    stage.script.progress = ProgressReport(step=10, total_steps=10, checkpoint_step=10, resumed_from_step=5)
    await stage.patch(TRAINING_JOB, {"runPolicy": {"suspend": False}})
    await stage.wait(TRAINING_JOB, "resumed", lambda job: job.get("status", {}).get("resumedFromStep") == 5)
    await _succeed(stage)


def _progress(job: Object) -> Object:
    return dict(job.get("status", {}).get("progress") or {})


ELASTIC_LIVES = (
    Life("grows", TRAINING_JOB, _grow, held=True, reports=True),
    Life("shrinks", TRAINING_JOB, _shrink, held=True, reports=True),
    Life("loses a worker", TRAINING_JOB, _lose_worker, held=True, reports=True),
    Life("resumes", TRAINING_JOB, _resume, held=True, reports=True),
)
