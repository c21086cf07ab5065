"""What an elastic job lacks while it trains: workers whose pods have failed, and those that the API server rejects."""

from fairlead.api.training_job import TrainingJob
from fairlead.core import names
from fairlead.core.conditions import LOG_HEADING, Finding
from fairlead.core.training_job.checks import explain_failure
from fairlead.core.training_job.observed import ObservedJob
from fairlead.core.training_job.registration import DELAYED, running_condition

REJECTED = "WorkersRejected"
_MAX_NAMED = 3
"""The maximum number of failed workers that a message describes."""


def with_lacking(finding: Finding, job: TrainingJob, observed: ObservedJob) -> Finding:
    """Return the explanation of Running with the workers that are not there, and why."""
    if job.spec.elastic is None:
        return finding
    desired, attempt = job.spec.workers.replicas, job.status.workers.restarts
    pods = [pod for pod in observed.pods if pod.role == names.WORKER and pod.attempt == attempt and pod.index < desired]
    if observed.rejection:
        return Finding(REJECTED, f"{finding.message} {observed.rejection.message}")
    if len(pods) < desired and (known := running_condition(job)) and known.reason == REJECTED:
        return Finding(known.reason, known.message)  # they are tried again with this plan
    failed = [pod for pod in pods if pod.phase == "Failed" and not pod.deleting][:_MAX_NAMED]
    causes = "".join(f" {explain_failure(pod).message.partition(LOG_HEADING)[0]}" for pod in failed)
    return Finding(DELAYED, f"{finding.message}{causes}") if causes else finding
