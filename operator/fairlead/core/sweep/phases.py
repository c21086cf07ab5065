"""The phases of a Sweep: each determines the whole set of conditions, so that none is left over from another.

Ready, Reconciling and Stalled follow kstatus, as for TrainingJobs: a sweep is Ready while its trials run and when it
has succeeded, Reconciling while the operator still works towards that, Stalled when only a new sweep helps.
"""

from dataclasses import dataclass

from fairlead.core.conditions import DesiredCondition, Finding, summarize

TYPES = ("Ready", "Reconciling", "Stalled", "Running", "Blocked", "Suspended", "Succeeded", "Failed")
_SUMMARIZED = ("Ready", "Reconciling", "Stalled")


@dataclass(frozen=True)
class Phase:
    """A phase: its name, which is that of the condition that explains it, and the other conditions that are True."""

    name: str
    true: frozenset[str]


RUNNING = Phase("Running", frozenset({"Ready", "Running"}))
BLOCKED = Phase("Blocked", frozenset({"Reconciling", "Blocked"}))
"""No further trial can be created; those that run go on."""
SUSPENDED = Phase("Suspended", frozenset({"Suspended"}))
SUCCEEDED = Phase("Succeeded", frozenset({"Ready", "Succeeded"}))
FAILED = Phase("Failed", frozenset({"Stalled", "Failed"}))


def build_conditions(phase: Phase, finding: Finding) -> list[DesiredCondition]:
    """Return every condition of a phase; `finding` explains the phase."""
    conditions = []
    for type_ in TYPES:
        message = finding.message if type_ == phase.name else ""
        if type_ in _SUMMARIZED and (type_ == "Ready" or type_ in phase.true):
            message = summarize(finding.message)
        conditions.append(DesiredCondition(type_, type_ in phase.true, finding.reason, message))
    return conditions
