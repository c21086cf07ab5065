"""What to do about each reason that a condition may have: shown by `fairlead doctor`, written to docs/runbooks.md."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Runbook:
    """A reason: what it means, and what to do."""

    meaning: str
    action: str
    """Empty if nothing has to be done."""


_LOGS = "Read its log with `fairlead logs JOB`; the condition has the last lines."
_STORE = (
    "Look at the URI, the Secret `artifact-store` of the namespace (for pods) and of the operator's, and at "
    "`AWS_ENDPOINT_URL`. The operator tries again by itself."
)
_ADMIN = "Ask the administrator, or name something that the message allows."
_VALIDATE = "Run `fairlead-data-validation --dataset URI --digest sha256:… --suite FILE`."

VALIDATION: dict[str, Runbook] = {
    "ValidationMissing": Runbook("Nobody has validated this dataset, and it is required.", _VALIDATE),
    "ValidationFailed": Runbook(
        "The dataset has been validated and does not meet the expectations that the message names.",
        "Mend the data and publish them at a new URI, or correct the expectations and validate again.",
    ),
    "ValidationUnreadable": Runbook("The validation result cannot be read.", _STORE),
    "InvalidValidationResult": Runbook("What is at the result's URI is no validation of this dataset.", _VALIDATE),
    "ValidationNotSigned": Runbook(
        "No key of the spec has signed the validation result: whoever may write to the store could have written it.",
        "Validate again where the key is (`FAIRLEAD_SIGNING_KEY_FILE`), or look at the result and sign it with "
        "`fairlead-artifacts sign URI --key FILE`. The message names the keys.",
    ),
    "OtherSuiteValidated": Runbook("The dataset was validated with other expectations than `suite` names.", _VALIDATE),
}
"""For datasets, wherever they are judged."""

TRAINING: dict[str, Runbook] = {
    # waiting
    "DatasetNotFound": Runbook(
        "There is no dataset at `spec.dataset.uri`.",
        "Publish it with `fairlead dataset publish PATH URI`; the job starts by itself.",
    ),
    "DatasetUnreadable": Runbook("The dataset's manifest cannot be read.", _STORE),
    "DatasetDigestMismatch": Runbook(
        "The dataset at the URI is another one than `spec.dataset.digest` names.",
        "Create the job with the digest that `fairlead dataset publish` printed, or with the URI of the right version.",
    ),
    **VALIDATION,
    "URINotAllowed": Runbook("The administrator does not allow this URI to the namespace.", _ADMIN),
    "ServiceAccountNotAllowed": Runbook("The administrator does not allow this service account.", _ADMIN),
    "Suspended": Runbook("The job is suspended.", "Set `spec.runPolicy.suspend: false` to resume it."),
    "Rejected": Runbook(
        "The API server rejects a pod or another object of the job: a quota, a limit or a policy.",
        "The message has the server's words. Free or raise the quota, or change `resources` of the workers.",
    ),
    "ResourcesReleased": Runbook(
        "Some pods could not be created, so the others were deleted to release what they hold.",
        "As for `Rejected`; the job tries again by itself.",
    ),
    # starting
    "PodsPending": Runbook("The pods are created and do not run yet.", ""),
    "PodsWaiting": Runbook(
        "A pod cannot start.",
        "`ErrImagePull`: look at the image's name and `imagePullSecrets`. `CreateContainerConfigError`: a ConfigMap or "
        "Secret is missing, or the image's user is root or not numeric (`USER 1000`).",
    ),
    "Unschedulable": Runbook(
        "No node can run a pod; the message has the scheduler's words.",
        "Free or add nodes, or ask for less: `resources`, node selectors, affinity, tolerations.",
    ),
    "SchedulingGated": Runbook(
        "A pod waits for its admission, such as by Kueue.", "Look at the queue: `kubectl get workloads,localqueues`."
    ),
    "SchedulerError": Runbook(
        "The scheduler failed; the message has its words.", "Look at the scheduler's log and at `schedulerName`."
    ),
    "QueueMissing": Runbook(
        "The job is to be queued by Kueue and names no queue.",
        "Set the label `kueue.x-k8s.io/queue-name` of the job to the name of a LocalQueue.",
    ),
    "NeverStarted": Runbook(
        "The pods or workers were not ready before `preRunningDeadlineSeconds`.",
        "As for `PodsWaiting` and `WorkersRegistering`; give the job more time if its image is large.",
    ),
    "ImageIncomplete": Runbook(
        "The image has no `fairlead-agent` or `fairlead-launcher`.",
        "Add the lines of the message to its Dockerfile; see the guide `bring-your-own`.",
    ),
    "LauncherStarting": Runbook("The launcher runs and has not answered the operator yet.", ""),
    "WorkersRegistering": Runbook(
        "Some workers have not reached the launcher.",
        "Read the logs of the workers that the message names. A NetworkPolicy that keeps pods of the job apart, or "
        "DNS, may be the cause.",
    ),
    "WorkersRunning": Runbook("All workers run.", ""),
    "RegistrationUnknown": Runbook(
        "All pods run, but the operator cannot read the launcher's status.",
        "Let the operator reach port 7070 of the job's pods (NetworkPolicy). The training itself is not affected.",
    ),
    "PodTerminating": Runbook("A pod of an earlier attempt has not gone yet.", ""),
    "PodNotTerminating": Runbook(
        "A pod is still there long after it was deleted; its node may be lost.",
        "Run the command of the message once you are sure that the node is gone.",
    ),
    # ends
    "TrainingFinished": Runbook("The job has succeeded.", ""),
    "DeadlineExceeded": Runbook(
        "The job ran for longer than `activeDeadlineSeconds`.", "Create it with a longer one, or with more workers."
    ),
    "ProgressDeadlineExceeded": Runbook(
        "The step did not change for `progressDeadlineSeconds`.",
        "Look for what the workers wait for in their logs. A script that reports no step must not have this deadline.",
    ),
    "TrackingUnavailable": Runbook(
        "An event: the job's record in MLflow lacks something. The training goes on; what is missing is sent later.",
        "Look at `spec.tracking.mlflow.uri`, and at the credentials in the launcher's container; "
        "`status.tracking.mlflow.problem` says whether it still lags.",
    ),
    "Disrupted": Runbook(
        "The cluster evicted, preempted or deleted a pod. The job restarts up to `disruptionLimit` times.", ""
    ),
    "DisruptionLimitExceeded": Runbook(
        "The cluster took pods away more often than `disruptionLimit` allows.",
        "Look at why (the message names the last reason), and raise the limit or the job's priority.",
    ),
    "ModelMissing": Runbook(
        "The workers succeeded, but the model that `spec.model` asks for was not published.",
        "Rank 0 must write to `$FAIRLEAD_MODEL_DIR`.",
    ),
    "ReportMalformed": Runbook(
        "The launcher's report cannot be parsed.",
        "Use a trainer image, or wheels, of the operator's version.",
    ),
    "LauncherFailed": Runbook("The launcher ended without a report.", "Read `fairlead logs JOB --launcher`."),
    "LauncherNotFinished": Runbook(
        "All workers have ended and the launcher has not.", "Read `fairlead logs JOB --launcher`."
    ),
    "LostLauncher": Runbook(
        "The workers could not reach the launcher, or it was paused.",
        "Look at its node, and give it more CPU with `launcherTemplate`.",
    ),
    "WorkerExited": Runbook("The script of a worker ended with an error.", _LOGS),
    "WorkerKilled": Runbook(
        "A process of a worker was killed by a signal.",
        "SIGKILL (137) is most often the memory limit: raise `limits.memory` (`fairlead train --memory`). " + _LOGS,
    ),
    "WorkerFailed": Runbook("A worker's pod failed without a report.", _LOGS),
    "WorkerNotStarted": Runbook(
        "A worker could not start its command, or the image lacks the framework.",
        "The message names the program or module, and the line that adds it.",
    ),
    "WorkerNotRegistered": Runbook(
        "A worker did not reach the launcher in time, or ended before all had.", "As for `WorkersRegistering`."
    ),
    "WorkerInvalidDataset": Runbook("A worker could not fetch the dataset, or it is damaged.", _STORE),
    "WorkerInvalidModel": Runbook(
        "The model could not be published, or rank 0 wrote none.",
        "Rank 0 must write to `$FAIRLEAD_MODEL_DIR`. " + _STORE,
    ),
    "WorkerLost": Runbook(
        "A worker stopped answering, or its pod was deleted or evicted.",
        "Look at its node (`kubectl describe node`) and the pod's events. The job restarts up to `disruptionLimit` "
        "times.",
    ),
}

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
        "The SeldonDeployment is there, and Seldon Core has not reported anything about it.",
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
        "`server` of a predictor sets what the operator sets.", "Remove the variable that the message names."
    ),
    "InvalidGraph": Runbook("The graph is not valid.", "Change the field that the message names."),
    "NoEndpoints": Runbook("The Service has no ready pod.", ""),
    "NotAnswering": Runbook(
        "The Service does not answer the operator.",
        "Look at `fairlead logs mdep/NAME`, and at NetworkPolicies between the operator and the pods.",
    ),
    "ModelNotFound": Runbook("There is no model at a node's `modelUri`.", "Publish it, or correct the URI."),
    "InvalidModel": Runbook("What is at a node's `modelUri` is no model.", "Publish it again, or correct the URI."),
    "StoreUnavailable": Runbook("The artifact store does not answer; what serves goes on.", _STORE),
    "ModelNotSigned": Runbook(
        "No key of `spec.requireSignature` has signed a model: whoever may write to the store could have written it.",
        "Look at the model and sign it with `fairlead-artifacts sign URI --key FILE`. The message names the keys.",
    ),
    "ProvenanceIncomplete": Runbook(
        "The origin of a model cannot be shown, and `spec.requireProvenance` asks for it.",
        "Convert it from a model that names its dataset with `fairlead-onnx-converter`, without `--no-parity`, and "
        "keep its ancestors where they are.",
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
    "URINotAllowed": TRAINING["URINotAllowed"],
    "ServiceAccountNotAllowed": TRAINING["ServiceAccountNotAllowed"],
    "Rejected": TRAINING["Rejected"],
}


def find_runbook(kind: str, reason: str) -> Runbook | None:
    """Return what to do about a reason of a TrainingJob's or ModelDeployment's condition."""
    return {"TrainingJob": TRAINING, "ModelDeployment": SERVING}.get(kind, {}).get(reason)
