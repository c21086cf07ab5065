"""Settings of the planners. `fairlead.handlers.settings` adds those of the operator process."""

from pydantic import BaseModel, ConfigDict

from fairlead import __version__


class Settings(BaseModel):
    """Settings of the planners; the field `x_y` is read from FAIRLEAD_X_Y."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    graph_server_image: str = f"fairlead/graph-server:{__version__}"
    """The image of the graph server."""
    image_pull_policy: str = "IfNotPresent"
    """The pull policy of the graph server's image."""
    progress_seconds: float = 2.0
    """The minimum interval between two progress updates of a job."""
    gate_seconds: float = 5.0
    """How often to check the dataset and validation result of a blocked job."""
