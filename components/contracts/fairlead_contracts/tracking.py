"""The record of a training job in MLflow: what the launcher says of it, in its status and its termination report."""

from pydantic import Field

from .base import PRINTABLE, Sparse

RUN_ID = "^[0-9a-f]{32}$"
MAX_PROBLEM = 300


class Tracked(Sparse):
    """The run that records a job."""

    run_id: str | None = Field(None, pattern=RUN_ID)
    """The run's ID; None until it is known."""
    problem: str | None = Field(None, max_length=MAX_PROBLEM, pattern=PRINTABLE)
    """Why the record lacks something, such as a server that does not answer; None if it does not."""
