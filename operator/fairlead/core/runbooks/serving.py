"""The reasons of a ModelDeployment."""

from fairlead.core.runbooks.base import STORE, VALIDATION, Runbook
from fairlead.core.runbooks.retraining import RETRAINING
from fairlead.core.runbooks.routes import ROUTES
from fairlead.core.runbooks.training import TRAINING

SERVING: dict[str, Runbook] = {
    "Applying": Runbook("The objects are being created.", ""),
    "Answering": Runbook("The deployment serves.", ""),
    "ScaledToZero": Runbook("`spec.replicas` is 0.", "Set it to 1 or more."),
    "PodsNotReady": Runbook("The pods run and are not ready yet.", ""),
    "PodsFailing": Runbook(
        "A graph server fails; the message has its report.",
        "Most often the model or the graph: `fairlead logs mdep/NAME`.",
    ),
    "NotInSeldon": Runbook(
        "With `engine: Seldon` the graph says what a SeldonDeployment cannot express.",
        "Change the field that the message names, or create the deployment with `engine: Native`.",
    ),
    "SeldonNotInstalled": Runbook(
        "The deployment has `engine: Seldon`, and the cluster has no Seldon Core v1.",
        "Install Seldon Core v1, which the operator notices within seconds, or create it anew with `engine: Native`.",
    ),
    "SeldonForbidden": Runbook(
        "The operator may not read SeldonDeployments.",
        "Give its Role the rule for `machinelearning.seldon.io` of `manifests/rbac/role.yaml` or of the chart.",
    ),
    "SeldonUnreadable": Runbook(
        "The API server answers the operator's list of SeldonDeployments with an error.",
        "If it lasts, look at the operator's log for the error, such as one of Seldon Core's conversion webhook.",
    ),
    "SeldonSilent": Runbook(
        "The SeldonDeployment exists, but Seldon Core has not reported anything about it.",
        "If it lasts, look whether Seldon Core's controller runs, and whether it works on this namespace: "
        "`kubectl describe sdep NAME`.",
    ),
    "SeldonReconciling": Runbook("Seldon Core still serves the version before.", "If it lasts, as for `SeldonSilent`."),
    "SeldonCreating": Runbook("Seldon Core creates the pods.", ""),
    "SeldonFailed": Runbook(
        "Seldon Core reports that it cannot serve the SeldonDeployment; the message has its words.",
        "`kubectl describe sdep NAME`, and the log of Seldon Core's controller.",
    ),
    "SeldonAvailable": Runbook("Seldon Core serves the deployment.", ""),
    "InvalidServer": Runbook(
        "`server` of a predictor sets what the operator sets, or asks for processes that would share a GPU.",
        "Remove the variable, or change the field, that the message names.",
    ),
    "InvalidGraph": Runbook("The graph is not valid.", "Change the field that the message names."),
    "NoEndpoints": Runbook("The Service has no ready pod.", ""),
    "NotAnswering": Runbook(
        "The Service does not answer the operator.",
        "Look at `fairlead logs mdep/NAME`, and at NetworkPolicies between the operator and the pods.",
    ),
    "ModelNotFound": Runbook("There is no model at a node's `modelUri`.", "Publish it, or correct the URI."),
    "InvalidModel": Runbook("What is at a node's `modelUri` is no model.", "Publish it again, or correct the URI."),
    "StoreUnavailable": Runbook("The artifact store does not answer; what serves goes on.", STORE),
    "ModelNotSigned": Runbook(
        "No key of `spec.requireSignature` has signed a model: whoever may write to the store could have written it.",
        "Look at the model and sign it with `fairlead-artifacts sign URI --key FILE`. The message names the keys.",
    ),
    "ProvenanceIncomplete": Runbook(
        "The origin of a model cannot be shown, and `spec.requireProvenance` asks for it.",
        "Convert it from a model that names its dataset with `fairlead-onnx-converter`, without `--no-parity`, and "
        "keep its ancestors where they are.",
    ),
    "ModelCardMissing": Runbook(
        "Nobody has evaluated a model, and `spec.requireModelCard` asks for its card.",
        "Run `fairlead-evaluation --model URI --dataset URI --minimum X` ([guide](guides/evaluation.md)).",
    ),
    "ModelNotGoodEnough": Runbook(
        "The last evaluation of a model says that it does not reach what was asked of it.",
        "Look at `card.html` at the URI in the message. Train a better model, or evaluate it anew.",
    ),
    "OtherMetricMeasured": Runbook(
        "The card of a model is by another metric than `spec.requireModelCard` names.",
        "Evaluate it with `fairlead-evaluation --metric NAME`.",
    ),
    "InvalidModelCard": Runbook(
        "What is at the card's URI is no card of this model.", "Evaluate the model anew, which replaces it."
    ),
    "ModelCardNotSigned": Runbook(
        "No key of `spec.requireModelCard` has signed the card: whoever may write to the store could have written it.",
        "Look at the card and sign it with `fairlead-artifacts sign URI --key FILE`. The message names the keys.",
    ),
    **VALIDATION,
    "EntryMoving": Runbook(
        "Another predictor became the first one of the spec. It gets the requests once its servers know how to split "
        "them.",
        "",
    ),
    "TrafficMoving": Runbook(
        "Predictors get more traffic once their pods are ready; until then earlier ones answer.", ""
    ),
    "TrafficUnconfirmed": Runbook(
        "Not all servers have confirmed what they do with their requests.",
        "`kubectl get mdep NAME -o yaml` shows in `status.traffic` how many have. If it lasts, look at NetworkPolicies "
        "between the operator and port 8080 of the pods.",
    ),
    "TrafficChanged": Runbook("An event: predictors get other shares of the requests or copies.", ""),
    "EntryMoved": Runbook("An event: the Service selects the pods of another predictor.", ""),
    "RolloutProgressing": Runbook(
        "A candidate starts or is measured; the stable revision serves the others.", "`fairlead rollout status NAME`."
    ),
    "RolloutPaused": Runbook(
        "A candidate stays at its step.",
        "`fairlead rollout resume NAME`, or remove `spec.rollout.paused`.",
    ),
    "RolledBack": Runbook(
        "The candidate failed, and the stable revision serves. The spec is not tried again until it changes.",
        "The message has the figures. Correct the spec or take it back; `fairlead rollout retry NAME` tries it again.",
    ),
    "RolloutRemoved": Runbook("`spec.rollout` was removed, and pods without revisions take over.", ""),
    "RolloutStarted": Runbook("An event: a changed spec became the candidate.", ""),
    "StepStarted": Runbook("An event: the candidate has the share of a step.", ""),
    "StepPassed": Runbook("An event: the candidate has passed a step, and gets pods for the next one.", ""),
    "RolloutPromoting": Runbook("An event: the candidate gets all its pods, and then the Service.", ""),
    "Promoted": Runbook("An event: the candidate is the stable revision.", ""),
    "RolloutResumed": Runbook("An event: a user has resumed a rollout.", ""),
    "CandidateRemoved": Runbook("An event: the spec is that of the stable revision again.", ""),
    "RolloutHeld": Runbook(
        "An event: the step's time is over, and what was measured is not conclusive yet.",
        "Wait for more requests, copy more of them (`mirrorPercent`), or allow more (the message has the bounds).",
    ),
    "VerdictFailed": Runbook("An event: a verdict has failed, and `failureLimit` tolerates it.", ""),
    "AnalysisFailed": Runbook(
        "An event: the candidate exceeded a limit and was rolled back.", "Look at the figures, and at its model."
    ),
    "CandidateFailing": Runbook(
        "An event: the candidate's pods crash, and it was rolled back.", "The message has the graph server's report."
    ),
    "RolloutDeadlineExceeded": Runbook(
        "An event: the candidate was not ready or not shown to be good in time, and was rolled back.",
        "Send more requests or copies of them, raise `progressDeadlineSeconds`, or allow more.",
    ),
    "Aborted": Runbook("An event: a user has aborted the rollout.", ""),
    "Measuring": Runbook("The operator has not read the servers' counts yet.", ""),
    "TooFewRows": Runbook(
        "The servers have counted fewer rows in a window than `minRows`.",
        "Wait for more requests, or lengthen `spec.monitor.drift.windowSeconds`.",
    ),
    "WithinLimit": Runbook("No column of the models' inputs and outputs is certain to exceed `maxPsi`.", ""),
    "DataDrifted": Runbook(
        "Inputs or outputs of a model are distributed otherwise than its training data.",
        "`fairlead describe mdep/NAME` shows the columns. Look for a change of what clients send, such as another "
        "scale; else train with newer data.",
    ),
    "NoReference": Runbook(
        "No model has a `reference.json` that describes its training data, or it cannot be used.",
        "Convert the model again from a dataset with a split `train`, with `fairlead-onnx-converter`.",
    ),
    "MonitorNotAnswering": Runbook(
        "No graph server says what it has counted.",
        "Look at NetworkPolicies between the operator and port 8080 of the pods, and whether pods are ready.",
    ),
    "DriftDetected": Runbook("An event: requests have drifted from the training data; the message has figures.", ""),
    "DriftEnded": Runbook("An event: requests are distributed as the training data again.", ""),
    **RETRAINING,
    **ROUTES,
    "GpuInUse": Runbook("The models of servers that asked for GPUs run on them.", ""),
    "GpuUnusable": Runbook(
        "Servers that asked for GPUs run models on the CPU, slowly: the message says why. Also an event.",
        "No driver or no GPU: look at NVIDIA's device plugin and `runtimeClassName` of the pods. Built without CUDA: "
        "set the chart's `graphServer.cudaImage`. Else look at the graph server's log, and the driver's version.",
    ),
    "DevicesUnknown": Runbook(
        "The servers that have GPUs have not all said where their models run.",
        "Look at NetworkPolicies between the operator and port 8080 of the pods, and whether pods are ready.",
    ),
    "NothingToAccelerate": Runbook(
        "A predictor asks for GPUs, but its graph server runs no model.",
        "Remove the GPU from `server.resources`, and ask for it in the containers of `componentSpecs` that use it.",
    ),
    "URINotAllowed": TRAINING["URINotAllowed"],
    "ServiceAccountNotAllowed": TRAINING["ServiceAccountNotAllowed"],
    "Rejected": TRAINING["Rejected"],
}
