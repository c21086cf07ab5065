"""How the requests of a ModelDeployment are compared with its models' training data, and what that has shown."""

from datetime import datetime
from typing import Literal

from fairlead_contracts.graph import MAX_WINDOW_SECONDS, MIN_WINDOW_SECONDS
from pydantic import Field

from fairlead.api.base import ApiModel, StatusModel
from fairlead.api.retrain import Retrain

MAX_WORST = 5


class Drift(ApiModel):
    """When the requests count as drifted from the training data, which reference.json beside each model describes."""

    window_seconds: int = Field(ge=MIN_WINDOW_SECONDS, le=MAX_WINDOW_SECONDS)
    """How far back requests are compared."""
    min_rows: int = Field(ge=1, le=1_000_000_000)
    """The number of rows in a window below which nothing is judged."""
    max_psi: float = Field(gt=0, le=10)
    """The largest population stability index of a column of an input or output. 0.1 is customary for a small shift, and
    0.25 for a large one. It counts as exceeded if that is certain to 99.9 %, over all columns."""
    sample_percent: int | None = Field(None, ge=1, le=100)
    """The percentage of the requests that servers count; all if unset."""


class Monitor(ApiModel):
    """What is watched while the models serve."""

    drift: Drift
    """Compares inputs and outputs of the models of nodes of type MODEL with their training data."""
    retrain: Retrain | None = None
    """Trains a model again when the requests have drifted. If unset, nothing is, and what the spec names is served."""


class ColumnDrift(StatusModel):
    """How far a column is from the training data."""

    predictor: str
    """The predictor."""
    node: str
    """The node of its graph."""
    side: Literal["input", "output"]
    """Whether the model accepts or returns the tensor."""
    tensor: str
    """The name of the tensor."""
    column: int
    """The place of the value in a row of the tensor, whose other dimensions are flattened."""
    psi: float
    """The population stability index."""
    critical_psi: float
    """The index above which it is certain to exceed maxPsi; more rows bring it closer to that."""


class DriftStatus(StatusModel):
    """What the last window has shown."""

    since: datetime | None = None
    """Since when the requests have drifted; absent if they have not. It stays while the condition is Unknown."""
    checked_at: datetime | None = None
    """When there were last enough rows to judge."""
    models: str | None = Field(None, max_length=64)
    """A hash of the models that were judged: the verdict about others does not count for them."""
    rows: int = 0
    """The rows in the window, over all servers that were read."""
    columns: int = 0
    """The number of columns that were compared."""
    exceeded: int = 0
    """How many of them are certain to exceed maxPsi."""
    worst: tuple[ColumnDrift, ...] = Field((), max_length=MAX_WORST)
    """The columns with the largest index."""
