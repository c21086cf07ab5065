"""What monitoring adds to a deployment's plan: the condition, the figures, events, and the next reading."""

from dataclasses import replace
from datetime import datetime

from fairlead.api.model_deployment import ModelDeployment, ModelDeploymentStatus
from fairlead.core.conditions import update_conditions
from fairlead.core.model_deployment.drift import DRIFTED, DriftMeasures, find_drift, judge_drift, poll_seconds
from fairlead.core.plan import Event, Plan


def with_drift(plan: Plan, deployment: ModelDeployment, measures: DriftMeasures | None, now: datetime) -> Plan:
    """Return the plan with what the servers have counted; without spec.monitor, nothing is said about drift."""
    before, status = deployment.status, plan.status
    assert isinstance(status, ModelDeploymentStatus)
    others = tuple(each for each in status.conditions if each.type != DRIFTED)
    if deployment.spec.monitor is None:
        if before.drift is None and others == status.conditions:
            return plan
        return replace(plan, status=status.model_copy(update={"conditions": others, "drift": None}))
    policy = deployment.spec.monitor.drift
    verdict = judge_drift(policy, measures, before, now)
    known = tuple(each for each in before.conditions if each.type == DRIFTED)
    conditions = update_conditions((*others, *known), [verdict.condition], deployment.metadata.generation, now)
    after = status.model_copy(update={"conditions": conditions, "drift": verdict.status})
    wait = poll_seconds(policy)
    return replace(
        plan,
        status=after,
        events=(*plan.events, *_build_events(before, after, verdict.condition.message)),
        requeue_after=wait if plan.requeue_after is None else min(plan.requeue_after, wait),
    )


def _build_events(before: ModelDeploymentStatus, after: ModelDeploymentStatus, message: str) -> tuple[Event, ...]:
    """Return an event if drift has begun, or has been found to have ended."""
    # also if it was Unknown meanwhile, so that the end is reported, and nothing twice
    earlier, now = before.drift.since if before.drift else None, find_drift(after)
    if now and now.since and earlier != now.since:
        return (Event("Warning", "DriftDetected", message, "Monitor", now.since.isoformat()),)
    if earlier and any(each.type == DRIFTED and each.status == "False" for each in after.conditions):
        return (Event("Normal", "DriftEnded", message, "Monitor", earlier.isoformat()),)
    return ()
