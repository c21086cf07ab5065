"""What retraining adds to a deployment's plan: the next state, or the children of the stored one, and a condition.

As with rollouts, a reconcile either stores a transition or acts on what is stored. Children are created after the
status was written, so that one which the API server rejects takes nothing from what serves.
"""

from dataclasses import replace
from datetime import datetime

from fairlead.api.model_deployment import ModelDeployment, ModelDeploymentStatus
from fairlead.api.retrain import Retrain, RetrainStatus
from fairlead.core import names
from fairlead.core.children import Object
from fairlead.core.conditions import update_conditions
from fairlead.core.model_deployment.observed import ObservedDeployment, ObservedRetraining
from fairlead.core.model_deployment.retrain import advance
from fairlead.core.model_deployment.retrain_build import build_converter, build_job
from fairlead.core.model_deployment.retrain_facts import gather_facts, is_disrupted
from fairlead.core.model_deployment.retrain_status import RETRAINING, build_events, explain_retraining
from fairlead.core.plan import Deletion, Plan
from fairlead.core.settings import Settings

_POLL_SECONDS = 30.0
"""How often to look at a run in progress, whose job and pod are watched, but not its deadline."""


def with_retraining(
    plan: Plan, deployment: ModelDeployment, observed: ObservedDeployment, settings: Settings, now: datetime
) -> Plan:
    """Return the plan with the next step of a run; without spec.monitor.retrain, nothing is left of one."""
    before, status, monitor = deployment.status, plan.status, deployment.spec.monitor
    assert isinstance(status, ModelDeploymentStatus)
    others = tuple(each for each in status.conditions if each.type != RETRAINING)
    if monitor is None or monitor.retrain is None:
        delete = (*plan.delete, *_find_unused(None, observed.retraining))
        if before.retrain is None and others == status.conditions:
            return replace(plan, delete=delete)
        return replace(plan, delete=delete, status=status.model_copy(update={"conditions": others, "retrain": None}))
    policy, state = monitor.retrain, before.retrain or RetrainStatus()
    facts = gather_facts(deployment, policy, observed, settings)
    after = advance(policy, state, facts, now)
    known = tuple(each for each in before.conditions if each.type == RETRAINING)
    condition = explain_retraining(deployment, policy, after, observed.retraining, facts.held)
    conditions = update_conditions((*others, *known), [condition], deployment.metadata.generation, now)
    written = status.model_copy(update={"conditions": conditions})
    if after != state:
        events = (*plan.events, *build_events(state, after))
        return replace(plan, status=written.model_copy(update={"retrain": after}), events=events, requeue_after=0.0)
    running = after.run is not None and after.run.ended_at is None
    wait = plan.requeue_after
    if running:
        wait = _POLL_SECONDS if wait is None else min(wait, _POLL_SECONDS)
    return replace(
        plan,
        status=written,
        apply_last=(*plan.apply_last, *_build_missing(deployment, policy, after, observed, settings)),
        delete=(*plan.delete, *_find_unused(after, observed.retraining)),
        requeue_after=wait,
    )


def _build_missing(
    deployment: ModelDeployment, policy: Retrain, state: RetrainStatus, observed: ObservedDeployment, settings: Settings
) -> tuple[Object, ...]:
    """Return what the run in progress needs and does not have, unless the API server has just rejected it."""
    run, seen = state.run, observed.retraining
    if run is None or run.ended_at or seen.rejection:
        return ()
    if run.phase == "Converting":
        known = seen.find_converter(run.job)
        return () if known else (build_converter(deployment, policy.conversion, run, settings),)
    # another one that is being deleted still has pods that train
    if run.uid or any(not job.finished for job in seen.jobs):
        return ()
    return () if seen.find_job(run.job) else (build_job(deployment, policy, run),)


def _find_unused(state: RetrainStatus | None, seen: ObservedRetraining) -> tuple[Deletion, ...]:
    """Return the jobs and pods of earlier runs, and those of an ended one that still run; others show how it ended."""
    run = state.run if state else None
    keep_running = run is not None and run.ended_at is None
    jobs = [
        Deletion("TrainingJob", job.name, job.uid)
        for job in seen.jobs
        if not job.deleting and not (run and job.name == run.job and (keep_running or job.finished))
    ]
    pods = [
        Deletion("Pod", pod.name, pod.uid)
        for pod in seen.converters
        if not pod.deleting
        and (
            run is None
            or pod.name != names.converter_name(run.job)
            or (is_disrupted(pod) if keep_running else not pod.finished)
        )
    ]
    return (*jobs, *pods)
