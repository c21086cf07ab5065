"""The settings that planners read. The operator's program adds its own: `fairlead.handlers.settings`."""

from pydantic import BaseModel, ConfigDict

from fairlead import __version__


class Settings(BaseModel):
    """What an administrator may change about the plans themselves; field `x_y` is read from FAIRLEAD_X_Y."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    graph_server_image: str = f"fairlead/graph-server:{__version__}"
    """The image that serves graphs."""
    image_pull_policy: str = "IfNotPresent"
    """For the images that are the operator's own."""
    progress_seconds: float = 2.0
    """How often a running job's progress is read and written at most; many jobs share the rates over all of them."""
    gate_seconds: float = 5.0
    """How often a blocked job looks for its dataset and validation result."""
