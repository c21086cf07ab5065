"""Whether the models of servers that have GPUs run on them, which their servers say."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fairlead_contracts.devices import DeviceFacts, NodeDevice

from fairlead.api.model_deployment import ModelDeployment, ModelDeploymentStatus
from fairlead.core.conditions import DesiredCondition, Finding, transition_time, update_conditions
from fairlead.core.model_deployment.gpus import requests_gpu
from fairlead.core.plan import Event, Plan

ACCELERATED = "Accelerated"
_POLL_SECONDS, _UNREAD_SECONDS = 300.0, 5.0
_UNSAID = "it is not said why"
_MAX_NODES = 3
"""How many nodes a message names."""


@dataclass(frozen=True)
class DeviceMeasures:
    """What the servers that have GPUs have said, added up."""

    servers: int = 0
    """How many were asked."""
    answered: int = 0
    """How many of them have answered."""
    fallen: int = 0
    """How many of these run models on the CPU."""
    models: int = 0
    """How many models they have, on whatever device."""
    cause: str = ""
    """Why models run on the CPU, and the nodes that say so."""
    problem: str = ""
    """Why a server has not answered."""

    @property
    def complete(self) -> bool:
        """Return whether all have answered."""
        return self.servers == self.answered > 0


def measure_devices(servers: int, facts: Sequence[DeviceFacts], problem: str) -> DeviceMeasures:
    """Return the sum of what servers have said."""
    on_cpu = [[node for node in each.nodes if node.provider == "CPU"] for each in facts]
    return DeviceMeasures(
        servers=servers,
        answered=len(facts),
        fallen=sum(map(bool, on_cpu)),
        models=sum(len(each.nodes) for each in facts),
        cause=_describe([node for nodes in on_cpu for node in nodes]),
        problem=problem,
    )


def with_devices(plan: Plan, deployment: ModelDeployment, measures: DeviceMeasures | None, now: datetime) -> Plan:
    """Return the plan with what the servers have said; if none asks for a GPU, nothing is said about them."""
    before, status = deployment.status.conditions, plan.status
    assert isinstance(status, ModelDeploymentStatus)
    others = tuple(each for each in status.conditions if each.type != ACCELERATED)
    if not any(map(requests_gpu, deployment.spec.predictors)):
        if others == status.conditions:
            return plan
        return replace(plan, status=status.model_copy(update={"conditions": others}))
    known = tuple(each for each in before if each.type == ACCELERATED)
    desired = [] if measures is None and known else [judge_devices(measures)]
    conditions = update_conditions((*others, *known), desired, deployment.metadata.generation, now)
    after = status.model_copy(update={"conditions": conditions})
    wait = poll_seconds(measures)
    return replace(
        plan,
        status=after,
        events=(*plan.events, *_build_events(deployment.status, after)),
        requeue_after=wait if plan.requeue_after is None else min(plan.requeue_after, wait),
    )


def judge_devices(measures: DeviceMeasures | None) -> DesiredCondition:
    """Return the condition. One server that is known to run a model on the CPU makes it False, whatever others say."""
    # nobody was asked since the operator has started, or pods have changed
    measures = measures or DeviceMeasures()
    if measures.fallen:
        share = f"{measures.fallen} of {measures.servers} servers run models on the CPU"
        return _build(False, Finding("GpuUnusable", f"{share}: {measures.cause}."))
    if not measures.complete:
        text = measures.problem or "No server that has a GPU has said where its models run."
        return _build(None, Finding("DevicesUnknown", text))
    if not measures.models:
        text = "No model runs in the graph servers that have GPUs: their graphs have none with a modelUri."
        return _build(False, Finding("NothingToAccelerate", text))
    return _build(True, Finding("GpuInUse", f"The models of {measures.servers} servers run on GPUs."))


def poll_seconds(measures: DeviceMeasures | None) -> float:
    """Return how often servers are asked: what they say changes only when they, or their model process, are new."""
    return _POLL_SECONDS if measures is None or measures.complete else _UNREAD_SECONDS


def _build(status: bool | None, finding: Finding) -> DesiredCondition:
    return DesiredCondition(ACCELERATED, status, finding.reason, finding.message)


def _describe(nodes: Sequence[NodeDevice]) -> str:
    """Return the commonest problem, and the nodes that have it."""
    found = Counter(node.problem or _UNSAID for node in nodes)
    if not found:
        return ""
    problem = min(found, key=lambda each: (-found[each], each))
    named = sorted({node.node for node in nodes if (node.problem or _UNSAID) == problem})
    more = f" and {len(named) - _MAX_NODES} more" if named[_MAX_NODES:] else ""
    return f"{problem} ({'nodes' if named[1:] else 'node'} {', '.join(named[:_MAX_NODES])}{more})"


def _build_events(before: ModelDeploymentStatus, after: ModelDeploymentStatus) -> tuple[Event, ...]:
    """Return a warning if models have begun to run on the CPU."""
    conditions = after.conditions
    found = next((each for each in conditions if each.type == ACCELERATED), None)
    earlier = next((each for each in before.conditions if each.type == ACCELERATED), None)
    if found is None or found.reason != "GpuUnusable" or (earlier and earlier.reason == found.reason):
        return ()
    since = transition_time(conditions, ACCELERATED)
    return (Event("Warning", found.reason, found.message, "Serve", since.isoformat() if since else ""),)
