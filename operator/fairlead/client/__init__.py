"""The Python SDK: manage Fairlead's resources on the cluster of the current kubeconfig.

    from fairlead.api.training_job import TrainingJob
    from fairlead.client import FairleadClient

    client = FairleadClient()
    client.apply(job)                                 # a TrainingJob, or a dictionary as in YAML
    finished = client.wait(TrainingJob, "digits", "Succeeded")
    for line in client.logs("TrainingJob", "digits", worker=0):
        print(line)
    for line in client.job_logs("digits", follow=True):     # of all its pods, until it has ended
        print(line.source, line.text)
    client.predict("digits", [[[[0.0] * 8] * 8]])

It is synchronous and based on the official Kubernetes client. Besides Fairlead's own
`fairlead_contracts` it needs only `pydantic` and `kubernetes`.
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
from fairlead.client.logs import LogLine
from fairlead.client.objects import Object

__all__ = [
    "Conflict",
    "Denied",
    "FairleadClient",
    "FairleadError",
    "LogLine",
    "NotFound",
    "Object",
    "Rejected",
    "ResourceFailed",
    "Unreachable",
    "WaitTimeout",
]
