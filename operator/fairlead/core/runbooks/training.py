"""The reasons of a TrainingJob."""

from fairlead.core.runbooks.base import ADMIN, LOGS, STORE, VALIDATION, Runbook

TRAINING: dict[str, Runbook] = {
    # waiting
    "DatasetNotFound": Runbook(
        "There is no dataset at `spec.dataset.uri`.",
        "Publish it with `fairlead dataset publish PATH URI`; the job starts by itself.",
    ),
    "DatasetUnreadable": Runbook("The dataset's manifest cannot be read.", STORE),
    "DatasetDigestMismatch": Runbook(
        "The dataset at the URI is another one than `spec.dataset.digest` names.",
        "Create the job with the digest that `fairlead dataset publish` printed, or with the URI of the right version.",
    ),
    **VALIDATION,
    "URINotAllowed": Runbook("The administrator does not allow this URI to the namespace.", ADMIN),
    "ServiceAccountNotAllowed": Runbook("The administrator does not allow this service account.", ADMIN),
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
    "WorkersRejected": Runbook(
        "An elastic job trains without workers that the API server rejects; the message has its words.",
        "Most often a quota: `kubectl describe quota`. The operator tries again every 30 seconds.",
    ),
    "WorkersDelayed": Runbook(
        "The job runs, and workers cannot do what the message says, such as save a checkpoint or publish the model; or "
        "an elastic job goes on without workers that it has lost.",
        f"If the message names the store: {STORE[0].lower()}{STORE[1:]} A disk that is full, free or enlarge.",
    ),
    "CheckpointDamaged": Runbook(
        "An event: the training continued from an older checkpoint because later ones are damaged.",
        "Look for who else writes to `spec.checkpoint.uri`, and at the store's own checks.",
    ),
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
    "WorkerExited": Runbook("The script of a worker ended with an error.", LOGS),
    "WorkerKilled": Runbook(
        "A process of a worker was killed by a signal.",
        "SIGKILL (137) is most often the memory limit: raise `limits.memory` (`fairlead train --memory`). " + LOGS,
    ),
    "WorkerFailed": Runbook("A worker's pod failed without a report.", LOGS),
    "WorkerNotStarted": Runbook(
        "A worker could not start its command, or the image lacks the framework.",
        "The message names the program or module, and the line that adds it.",
    ),
    "WorkerNotRegistered": Runbook(
        "A worker did not reach the launcher in time, or ended before all had.", "As for `WorkersRegistering`."
    ),
    "WorkerInvalidDataset": Runbook("The dataset is damaged, or another one than the spec names.", STORE),
    "WorkerStoreUnavailable": Runbook(
        "The artifact store did not answer a worker for a minute (dataset) or for 20 (model). The job restarts up to "
        "`disruptionLimit` times.",
        STORE,
    ),
    "WorkerInvalidModel": Runbook(
        "The model could not be published, or rank 0 wrote none.",
        "Rank 0 must write to `$FAIRLEAD_MODEL_DIR`. " + STORE,
    ),
    "WorkerLost": Runbook(
        "A worker stopped answering, or its pod was deleted or evicted.",
        "Look at its node (`kubectl describe node`) and the pod's events. The job restarts up to `disruptionLimit` "
        "times.",
    ),
}
