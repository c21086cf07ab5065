"""The reasons of a ModelDeployment's condition Retraining."""

from fairlead.core.runbooks.base import STORE, Runbook

_AGAIN = "A change of `template` or `conversion` starts another run after the cool-down."

RETRAINING: dict[str, Runbook] = {
    "NotDrifted": Runbook("`spec.monitor.retrain` is set, and no run was necessary yet.", ""),
    "Training": Runbook("The TrainingJob of a run exists; the message has its words.", "`fairlead describe tj/JOB`."),
    "Converting": Runbook(
        "The job has published a model, which a pod converts and compares with its conversion.",
        "If it lasts, look at the pod that the message names: `kubectl describe pod POD`.",
    ),
    "Retrained": Runbook("A model was trained; a rollout measures it, or it serves already. Also an event.", ""),
    "RetrainedModelRolledBack": Runbook(
        "A rollout has rejected a retrained model, and the earlier one serves. Also an event.",
        f"The message has the figures. Train on newer data, or allow more in `spec.rollout.analysis`. {_AGAIN}",
    ),
    "RetrainedModelNotAdmitted": Runbook(
        "No gate let a retrained model pass within `deadlineSeconds` of its conversion, and the earlier one serves. "
        "Also an event.",
        f"The message names the gate: sign the model, or validate its dataset, in time. {_AGAIN}",
    ),
    "JobFailed": Runbook(
        "The TrainingJob of a run has failed. If it started with checkpoints, the next run starts without.",
        f"`fairlead logs JOB`. {_AGAIN}",
    ),
    "JobDeleted": Runbook("The TrainingJob of a run was deleted, which counts as failed.", _AGAIN),
    "NoModel": Runbook(
        "The TrainingJob of a run has succeeded and has published no model.",
        f"Let the script write one to `$FAIRLEAD_MODEL_DIR`. {_AGAIN}",
    ),
    "ModelRejected": Runbook(
        "A trained model and its conversion differ, or the conversion is not accurate enough.",
        f"The message has the figures: look at the data, or at the limits in `conversion`. {_AGAIN}",
    ),
    "ConversionFailed": Runbook(
        "The converter could not try the conversion, or has said nothing; the message has the end of its log.",
        f"Look at its Secret and its memory. {STORE} {_AGAIN}",
    ),
    "DeadlineExceeded": Runbook(
        "A run has taken longer than `deadlineSeconds`; what ran was deleted.",
        f"Look at the earlier message for what it waited for, or allow more time. {_AGAIN}",
    ),
    "Superseded": Runbook("The spec names another model than the one that a run was to replace.", ""),
    "NodeUnknown": Runbook(
        "`spec.monitor.retrain` does not say which node's model is to be replaced.", "Set `node` to one of those named."
    ),
    "RetrainingSuspended": Runbook("`spec.monitor.retrain.suspend` is true.", "Set it to false."),
    "RetrainingStarted": Runbook("An event: requests have drifted, and a model is trained again.", ""),
}
