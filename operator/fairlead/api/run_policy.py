"""The run policy of a TrainingJob: when it stops, starts again and goes away."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fairlead.api.base import ApiModel, Rule
from fairlead.api.scheduling import SchedulingPolicy

MANAGER = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/[A-Za-z0-9/._~%!$&'()*+,;=:-]+$"
"""A controller, as in the managedBy of a Kubernetes Job: a domain and a path."""
MAX_SECONDS = 10 * 365 * 86400
"""Ten years: more than anyone waits, and little enough to add to a time."""
ExitCode = Annotated[int, Field(ge=1, le=255)]


class ExitCodes(ApiModel):
    """Which exit codes of the training command are worth a restart; 128 + signal if it was killed."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.permanent) != has(self.retryable)",
            "permanent: expected either permanent or retryable",
            lambda codes: (codes.permanent is None) != (codes.retryable is None),
            field=".permanent",
        ),
    )

    permanent: tuple[ExitCode, ...] | None = Field(None, min_length=1, max_length=255)
    """The exit codes after which the job fails at once. All others count as failures."""
    retryable: tuple[ExitCode, ...] | None = Field(None, min_length=1, max_length=255)
    """The exit codes that count as failures. After all others the job fails at once."""

    def is_permanent(self, code: int) -> bool:
        """Return whether a restart does not help after this exit code."""
        return code in self.permanent if self.permanent is not None else code not in (self.retryable or ())


class RunPolicy(ApiModel):
    """Suspension, retries, deadlines and cleanup of the job."""

    suspend: bool = False
    """Suspend the job: existing pods are deleted and no new ones are created."""
    backoff_limit: int = Field(3, ge=0, le=100)
    """How many times the job is restarted after a failure, with a backoff of ten seconds (the operator's setting) that
    doubles each time, up to six minutes."""
    disruption_limit: int = Field(100, ge=0, le=500)
    """How many times the job is restarted because the cluster took a pod away: evicted, preempted, deleted, or lost
    with its node. Such restarts do not count for backoffLimit."""
    exit_codes: ExitCodes | None = None
    """After which exit codes of the training command the job is restarted, and a worker of an elastic job replaced;
    after every one if unset."""
    scheduling_policy: SchedulingPolicy | None = None
    """What decides when and where the pods start. A change applies to the next attempt."""
    active_deadline_seconds: int | None = Field(None, ge=1)
    """The number of seconds that the job may be active before it fails. No limit if unset."""
    pre_running_deadline_seconds: int | None = Field(None, ge=1)
    """The number of seconds within which all workers must register; otherwise the job fails. An elastic job may have
    too few workers for as long later. No limit if unset."""
    progress_deadline_seconds: int | None = Field(None, ge=1, le=MAX_SECONDS)
    """The number of seconds within which a running job must report another step; otherwise it counts as failed and is
    restarted up to backoffLimit times. A job that reports no progress at all exceeds it. No limit if unset."""
    clean_pod_policy: Literal["None", "Running", "All"] = "Running"
    """Which pods to delete when the job has finished."""
    ttl_seconds_after_finished: int | None = Field(None, ge=0, le=MAX_SECONDS)
    """How many seconds after it has finished the job is deleted, with its pods. It is kept if unset. The only field of
    the spec that can be changed after the finish."""
    managed_by: str | None = Field(None, max_length=63, pattern=MANAGER)
    """The controller that runs the job, as in a Kubernetes Job. With any other value than `fairlead.dev/operator`, such
    as `kueue.x-k8s.io/multikueue`, this operator leaves the job alone. Immutable."""

    @property
    def uses_kueue(self) -> bool:
        """Return whether Kueue admits the pods."""
        return self.scheduling_policy is not None and self.scheduling_policy.kueue is not None
