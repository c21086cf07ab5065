"""Where a TrainingJob is recorded."""

from fairlead_contracts.base import PRINTABLE
from pydantic import Field

from fairlead.api.base import ApiModel, StatusModel

URL = r"^https?://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*/?$"
"""A URL without a user, a password or a query, which would be shown to whoever may read the job."""


class Mlflow(ApiModel):
    """A run of MLflow that records the job."""

    uri: str = Field(max_length=1024, pattern=URL)
    """The URL of the tracking server. Credentials are variables of the launcher's container, from a Secret."""
    experiment: str = Field(min_length=1, max_length=250, pattern=PRINTABLE)
    """The name of the experiment, which is created if it does not exist."""


class Tracking(ApiModel):
    """Where the job is recorded."""

    mlflow: Mlflow
    """A run of MLflow, with the job's parameters, its progress, and the model's URI and digest as tags."""


class MlflowRun(StatusModel):
    """The run of MLflow that records the job."""

    run_id: str | None = Field(None, max_length=32)
    """The ID of the run, which all attempts of the job share."""
    problem: str | None = Field(None, max_length=512)
    """Why the record lacks something, such as a server that does not answer. The training does not wait for it."""


class TrackingStatus(StatusModel):
    """Where the job is recorded."""

    mlflow: MlflowRun
    """The run of MLflow that records the job."""
