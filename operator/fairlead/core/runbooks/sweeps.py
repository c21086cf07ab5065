"""The reasons of a Sweep."""

from fairlead.core.runbooks.base import Runbook

_TRIALS = "`fairlead sweep NAME` shows the trials; `fairlead doctor tj/JOB` says what is wrong with one of them."

SWEEPS: dict[str, Runbook] = {
    "TrialsRunning": Runbook("Trials run, or wait for their pods.", ""),
    "Suspended": Runbook("The sweep is suspended, with all its jobs.", "Set `spec.suspend: false` to resume it."),
    "Rejected": Runbook(
        "The API server rejects the job of a trial: a quota, a policy, or an object that has its name.",
        "The message has the server's words. The sweep tries again by itself.",
    ),
    "TrialsBlocked": Runbook(
        "No trial can run: their TrainingJobs are blocked; the message has the first one's words.",
        "Look at the reason of the job, `fairlead doctor tj/NAME`: a dataset that is missing, or not validated.",
    ),
    "SamplerFailed": Runbook(
        "The values of the next trial could not be chosen; trials that run go on.",
        "The message says why. If Optuna is missing, use the operator's image, or install `fairlead[tpe]` beside it.",
    ),
    "TargetReached": Runbook("A trial has reached `spec.objective.target`, which ended the sweep.", ""),
    "TrialsFinished": Runbook("All trials have ended, and at least one has succeeded.", ""),
    "DeadlineReached": Runbook("`spec.activeDeadlineSeconds` ended the sweep; at least one trial has succeeded.", ""),
    "TooManyFailedTrials": Runbook("More trials have failed than `spec.maxFailedTrials` allows.", _TRIALS),
    "NoTrialSucceeded": Runbook(
        "The sweep ended, and no trial had succeeded.",
        f"{_TRIALS} Give it more time, or prune later: `minSteps`.",
    ),
    "InvalidTemplate": Runbook(
        "The template names a parameter that the sweep does not have, or leads to an invalid job.",
        "The message names the field. Create a new sweep.",
    ),
    "InvalidSpec": Runbook(
        "The stored spec is invalid for this version of the operator.", "The message names the field; correct it."
    ),
}
