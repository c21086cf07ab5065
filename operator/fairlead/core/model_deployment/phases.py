"""The phases of a ModelDeployment: each determines the whole set of conditions, so that none is left over from another.

Ready, Reconciling and Stalled follow kstatus, as for TrainingJobs. Progressing and Degraded are those of a Deployment:
Degraded is a fault that waiting alone does not fix, Stalled one that only a new spec fixes.
"""

from dataclasses import dataclass

from fairlead.core.conditions import DesiredCondition, Finding, summarize

TYPES = ("Ready", "Reconciling", "Stalled", "Progressing", "Degraded")


@dataclass(frozen=True)
class Phase:
    """A phase: the conditions that are True."""

    true: frozenset[str]


READY = Phase(frozenset({"Ready"}))
PROGRESSING = Phase(frozenset({"Reconciling", "Progressing"}))
FAULTY = Phase(frozenset({"Reconciling", "Degraded"}))
"""A fault that the operator keeps trying to overcome, such as pods that crash or a model that is not there yet."""
INVALID = Phase(frozenset({"Stalled", "Degraded"}))
ROLLED_BACK = INVALID
"""The stable revision serves, and the spec is that of one that failed."""


def build_conditions(phase: Phase, finding: Finding) -> list[DesiredCondition]:
    """Return every condition of a phase; `finding` explains the phase."""
    explained = {"Ready": finding.message} | {type_: summarize(finding.message) for type_ in phase.true - {"Ready"}}
    if "Degraded" in phase.true:
        explained["Degraded"] = finding.message
    return [DesiredCondition(type_, type_ in phase.true, finding.reason, explained.get(type_, "")) for type_ in TYPES]
