"""The leader is paused, for some times longer than its lease lasts: when it goes on, it must not write any more.

Nor may it tell graph servers what was true before: their documents must be those of the statuses.
"""

import asyncio
import signal
import time

from fairlead.kube.kinds import POD, TRAINING_JOB

from tests.chaos.operator.cluster import Campaign, Outcome, wait_for_leader
from tests.chaos.operator.faults import Fault
from tests.chaos.operator.lives import LIVES, build_job
from tests.chaos.operator.processes import OperatorProcess
from tests.chaos.operator.rollout_lives import ROLLOUT_LIVES, command, finish, start_candidate
from tests.chaos.operator.stage import Stage, Unfinished, has_phase

_LEASE_SECONDS = 15.0
_EXIT_SECONDS = 30.0
_JOBS = 4


async def pause_leader(campaign: Campaign, spare: OperatorProcess, seconds: int) -> Outcome:
    """Pause the leader while it creates jobs and a candidate is measured. If its lease expires, the spare goes on.

    The spare does not use the proxy, so that all writes that pass the proxy are the paused one's.
    """
    began = time.monotonic()
    spare.start()
    try:
        problem = await _pause(campaign, spare, seconds)
    except Unfinished as error:
        problem = str(error)
    finally:
        campaign.operator.send(signal.SIGCONT)
        spare.kill()
        campaign.operator.restart()
        await wait_for_leader(campaign.kube, campaign.operator.identity)
        campaign.operator.supervised = True
    return Outcome("leaders", Fault("paused", seconds), time.monotonic() - began, {}, problem, hits=1)


async def _pause(campaign: Campaign, spare: OperatorProcess, seconds: int) -> str:
    held = next(life for life in LIVES if life.held)
    rollout = await campaign.open_stage(ROLLOUT_LIVES[0], Fault())
    candidate = await start_candidate(rollout)
    stages = [await campaign.open_stage(held, Fault()) for _ in range(_JOBS)]
    await asyncio.gather(*(stage.create(TRAINING_JOB, build_job()) for stage in stages))
    while not campaign.proxy.injections[stages[0].namespace].writes:  # noqa: ASYNC110 - counted by the proxy
        await asyncio.sleep(0.005)
    campaign.operator.supervised = False  # it has to exit
    campaign.operator.send(signal.SIGSTOP)
    stopped = time.monotonic()
    replaced = seconds > _LEASE_SECONDS
    if replaced:
        await wait_for_leader(campaign.kube, spare.identity)
        await asyncio.gather(_finish(stages), _promote(rollout, candidate))
    await asyncio.sleep(max(0.0, seconds - (time.monotonic() - stopped)))
    before = len(campaign.proxy.begun)
    campaign.operator.send(signal.SIGCONT)
    if replaced:
        await campaign.operator.wait_for_exit(_EXIT_SECONDS)
        if begun := campaign.proxy.begun[before:]:
            return f"the deposed leader wrote: {', '.join(begun)}"
    else:
        await asyncio.gather(_finish(stages), _promote(rollout, candidate))
    return campaign.find_problem(rollout.namespace) or await _check(campaign, stages)


async def _finish(stages: list[Stage]) -> None:
    """Suspend every other job and let the others finish."""
    for index, stage in enumerate(stages):
        await stage.wait(TRAINING_JOB, "Running", has_phase("Running"))
        if index % 2:
            await stage.patch(TRAINING_JOB, {"runPolicy": {"suspend": True}})
            await stage.wait(TRAINING_JOB, "Suspended", has_phase("Suspended"))
            await stage.wait_until("without pods", lambda stage=stage: stage.is_without(POD))  # type: ignore[misc]
        else:
            stage.script.released.set()
            await stage.wait(TRAINING_JOB, "Succeeded", has_phase("Succeeded"))


async def _promote(stage: Stage, candidate: str) -> None:
    await command(stage, "promote", candidate)
    await finish(stage, "Promoted")


async def _check(campaign: Campaign, stages: list[Stage]) -> str:
    """Return what differs from two suspended jobs without pods and two that have succeeded."""
    for index, stage in enumerate(stages):
        if reversal := campaign.find_reversal(stage.namespace):
            return reversal
        pods = await stage.children(POD)
        if index % 2 and pods:
            return f"a suspended job has {len(pods)} pods"
        await stage.wait(TRAINING_JOB, "as it was", has_phase("Suspended" if index % 2 else "Succeeded"))
    return ""
