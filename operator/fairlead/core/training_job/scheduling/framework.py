"""What a framework that schedules the pods of a job together contributes to its objects."""

from collections.abc import Callable
from dataclasses import dataclass

from fairlead.api.training_job import TrainingJob
from fairlead.core.children import Object
from fairlead.core.conditions import Finding


def group_size(job: TrainingJob) -> int:
    """Return the number of pods that are useful only together: the launcher and all workers that it needs."""
    return 1 + (job.spec.elastic.min_replicas if job.spec.elastic else job.spec.workers.replicas)


@dataclass(frozen=True)
class Framework:
    """A framework, chosen by the field of its name in schedulingPolicy."""

    join: Callable[[TrainingJob, Object, str], Object]
    """Returns a pod as a member of a group; the name is that of `choose_group`."""
    build: Callable[[TrainingJob], tuple[Object, ...]] = lambda _: ()
    """Returns the objects that the pods need before they are created."""
    check: Callable[[TrainingJob], Finding | None] = lambda _: None
    """Finds why the pods would never start."""
