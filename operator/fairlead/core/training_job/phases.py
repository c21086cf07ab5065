"""The phases of a TrainingJob: each determines the whole set of conditions, so that none is left over from another.

Ready, Reconciling and Stalled follow kstatus, which Argo CD, Flux and `kubectl wait` read: a job is Ready while it runs
and when it has succeeded, Reconciling while the operator still works towards that, Stalled when only a new spec helps.
"""

from dataclasses import dataclass

from fairlead.core.conditions import DesiredCondition, Finding, summarize

TYPES = (
    "Ready", "Reconciling", "Stalled",
    "Created", "Blocked", "Running", "Restarting", "Suspended", "Succeeded", "Failed",
)  # fmt: skip
_SUMMARIZED = ("Ready", "Reconciling", "Stalled")


@dataclass(frozen=True)
class Phase:
    """A phase: its name, the conditions that are True, and the condition that explains it in full."""

    name: str
    true: frozenset[str]
    explained_by: str


def _phase(name: str, *true: str, explained_by: str = "") -> Phase:
    return Phase(name, frozenset(true), explained_by or name)


BLOCKED = _phase("Blocked", "Reconciling", "Blocked")
SUSPENDED = _phase("Suspended", "Suspended")
WAITING = _phase("Pending", "Reconciling", explained_by="Running")
"""No pod exists: the first was rejected, or all were deleted to release their resources."""
PENDING = _phase("Pending", "Reconciling", "Created", explained_by="Running")
"""Pods exist; they do not all run yet, or their workers have not registered with the launcher."""
RUNNING = _phase("Running", "Ready", "Created", "Running")
RESTARTING = _phase("Restarting", "Reconciling", "Created", "Restarting")
SUCCEEDED = _phase("Succeeded", "Ready", "Created", "Succeeded")
FAILED = _phase("Failed", "Stalled", "Created", "Failed")
NEVER_CREATED = _phase("Failed", "Stalled", "Failed")
"""Failed without a pod, such as for an unsupported field."""


def build_conditions(phase: Phase, finding: Finding, restarting: Finding | None = None) -> list[DesiredCondition]:
    """Return every condition of a phase; `finding` explains the phase.

    With `restarting`, the cause of a restart that is still in progress, Restarting is True in addition.
    """
    conditions = []
    for type_ in TYPES:
        if type_ == "Restarting" and restarting:
            conditions.append(DesiredCondition(type_, True, restarting.reason, restarting.message))
            continue
        message = finding.message if type_ == phase.explained_by else ""
        if type_ in _SUMMARIZED and (type_ == "Ready" or type_ in phase.true):
            message = summarize(finding.message)
        conditions.append(DesiredCondition(type_, type_ in phase.true, finding.reason, message))
    return conditions
