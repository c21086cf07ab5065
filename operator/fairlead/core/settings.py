"""The operator's settings: environment variables FAIRLEAD_*, read once at start."""

from dataclasses import dataclass, fields
from typing import Self

from fairlead import __version__


@dataclass(frozen=True)
class Settings:
    """What an administrator may change; field `x_y` is read from FAIRLEAD_X_Y."""

    graph_server_image: str = f"fairlead/graph-server:{__version__}"
    """The image that serves graphs."""
    image_pull_policy: str = "IfNotPresent"
    """For the images that are the operator's own."""
    namespaces: str = ""
    """Comma-separated namespaces to watch; empty: all of them."""
    lease_namespace: str = ""
    """Where the leader election's Lease lives; empty: no leader election."""
    progress_seconds: float = 2.0
    """How often a running job's progress is read and written."""
    gate_seconds: float = 5.0
    """How often a blocked job looks for its dataset and validation result."""
    resync_seconds: float = 300.0
    """How often every resource is looked at without a cause."""
    workers: int = 8
    """How many resources are reconciled at once."""
    port: int = 8081
    """Where /healthz and /metrics answer."""
    log_format: str = "json"
    """json or text."""

    @property
    def watched_namespaces(self) -> tuple[str, ...]:
        """Return the namespaces to watch; empty: all of them."""
        return tuple(name for name in self.namespaces.split(",") if name)

    @classmethod
    def from_environment(cls, environment: dict[str, str]) -> Self:
        """Read the settings; raises ValueError naming the variable, its value and what was expected."""
        values: dict[str, str | int | float] = {}
        for field in fields(cls):
            variable = f"FAIRLEAD_{field.name.upper()}"
            if variable in environment:
                kind = type(getattr(cls, field.name))
                try:
                    values[field.name] = kind(environment[variable])
                except ValueError:
                    raise ValueError(f"{variable}: got {environment[variable]!r}, expected {kind.__name__}") from None
        return cls(**values)  # type: ignore[arg-type]
