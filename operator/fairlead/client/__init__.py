"""The Python SDK: Fairlead's resources on whatever cluster the kubeconfig names.

    from fairlead.api.training_job import TrainingJob
    from fairlead.client import FairleadClient

    client = FairleadClient()
    client.apply(job)                                 # a TrainingJob, or a dictionary as in YAML
    finished = client.wait(TrainingJob, "digits", "Succeeded")
    for line in client.logs("TrainingJob", "digits", worker=0):
        print(line)
    client.predict("digits", [[0.0] * 64])

Synchronous, on the official Kubernetes client. It needs `pydantic` and `kubernetes`, and nothing of the operator's.
"""

from fairlead.client.client import FairleadClient
from fairlead.client.errors import (
    Conflict,
    Denied,
    FairleadError,
    NotFound,
    Rejected,
    ResourceFailed,
    Unreachable,
    WaitTimeout,
)
from fairlead.client.objects import Object

__all__ = [
    "Conflict",
    "Denied",
    "FairleadClient",
    "FairleadError",
    "NotFound",
    "Object",
    "Rejected",
    "ResourceFailed",
    "Unreachable",
    "WaitTimeout",
]
