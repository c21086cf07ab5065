"""What to do about each reason that a condition may have: shown by `fairlead doctor`, written to docs/runbooks.md."""

from fairlead.core.runbooks.base import Runbook
from fairlead.core.runbooks.serving import SERVING
from fairlead.core.runbooks.sweeps import SWEEPS
from fairlead.core.runbooks.training import TRAINING

__all__ = ["SERVING", "SWEEPS", "TRAINING", "Runbook", "find_runbook"]


def find_runbook(kind: str, reason: str) -> Runbook | None:
    """Return what to do about a reason of a TrainingJob's, Sweep's or ModelDeployment's condition."""
    return {"TrainingJob": TRAINING, "Sweep": SWEEPS, "ModelDeployment": SERVING}.get(kind, {}).get(reason)
