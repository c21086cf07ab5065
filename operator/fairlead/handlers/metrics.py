"""The operator's own metrics. docs/metrics.md has a row for each."""

from prometheus_client import Counter, Gauge, Histogram

from fairlead.api.sweep import Sweep
from fairlead.api.training_job import TrainingJob
from fairlead.core.sweep.summary import SweepChanges
from fairlead.core.training_job.summary import Changes

_MAX_NAMESPACES = 1000
"""The namespaces that have series of their own: a series stays until the operator ends, also those of deleted ones."""
_OTHER = "…"
"""The label of all further namespaces; no namespace has this name."""

RECONCILES = Counter("fairlead_reconciles_total", "Reconciles by kind and result.", ["kind", "result"])
SECONDS = Histogram("fairlead_reconcile_seconds", "Duration of a reconcile.", ["kind"])
WRITES = Counter("fairlead_api_writes_total", "Writes to the API server.", ["kind"])
REQUESTS = Counter("fairlead_api_requests_total", "Requests to the API server, except watches.", ["method", "resource"])
QUEUE = Gauge("fairlead_queue_depth", "Resources that are due or in progress.")
WAITED = Histogram("fairlead_queue_wait_seconds", "Time that a resource was due before its reconcile.", ["kind"])
LEADER = Gauge("fairlead_leader", "1 while this process is the leader.")

RESTARTS = Counter(
    "fairlead_job_restarts_total", "Restarts of jobs by cause: failure or disruption.", ["namespace", "cause"]
)
FINISHED = Counter(
    "fairlead_jobs_finished_total", "Jobs that finished, by result: succeeded or failed.", ["namespace", "result"]
)
START_SECONDS = Histogram(
    "fairlead_job_start_seconds",
    "Time from the creation of a job to its first Running.",
    ["launcher"],
    buckets=(1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400),
)
LOST_STEPS = Counter("fairlead_job_lost_steps_total", "Training steps that had to be done again.", ["namespace"])
LOST_WORKERS = Counter("fairlead_elastic_lost_workers_total", "Workers that elastic jobs lost.", ["namespace"])
EPOCHS = Counter(
    "fairlead_elastic_epochs_total", "Changes of the set of training workers, by reason.", ["namespace", "reason"]
)
CHECKPOINT_SECONDS = Histogram(
    "fairlead_checkpoint_seconds",
    "Time to write a checkpoint, beside the training.",
    ["namespace"],
    buckets=(0.5, 1, 5, 15, 60, 300, 900),
)
CHECKPOINT_BYTES = Counter("fairlead_checkpoint_bytes_total", "Bytes of checkpoints that were written.", ["namespace"])

TRIALS = Counter(
    "fairlead_sweep_trials_total",
    "Trials of sweeps that ended, by result: succeeded, pruned, failed or stopped.",
    ["namespace", "result"],
)
SWEEPS = Counter(
    "fairlead_sweeps_finished_total", "Sweeps that finished, by result: succeeded or failed.", ["namespace", "result"]
)

_namespaces: set[str] = set()


def record(job: TrainingJob, changes: Changes) -> None:
    """Add what a change of a job's status says."""
    namespace = _label(job.metadata.namespace)
    for cause, count in (("failure", changes.failures), ("disruption", changes.disruptions)):
        if count:
            RESTARTS.labels(namespace, cause).inc(count)
    if changes.result:
        FINISHED.labels(namespace, changes.result).inc()
    if changes.started_after is not None:
        START_SECONDS.labels(job.spec.launcher).observe(changes.started_after)
    if changes.lost_steps:
        LOST_STEPS.labels(namespace).inc(changes.lost_steps)
    if changes.lost_workers:
        LOST_WORKERS.labels(namespace).inc(changes.lost_workers)
    for reason, count in (changes.epochs or {}).items():
        EPOCHS.labels(namespace, reason).inc(count)
    if changes.checkpoint:
        seconds, size = changes.checkpoint
        CHECKPOINT_SECONDS.labels(namespace).observe(seconds)
        CHECKPOINT_BYTES.labels(namespace).inc(size)


def record_sweep(sweep: Sweep, changes: SweepChanges) -> None:
    """Add what a change of a sweep's status says."""
    namespace = _label(sweep.metadata.namespace)
    for result, count in changes.ended.items():
        TRIALS.labels(namespace, result).inc(count)
    if changes.result:
        SWEEPS.labels(namespace, changes.result).inc()


def _label(namespace: str) -> str:
    if namespace not in _namespaces and len(_namespaces) >= _MAX_NAMESPACES:
        return _OTHER
    _namespaces.add(namespace)
    return namespace
