"""The operator's settings: environment variables FAIRLEAD_*, read once at start."""

import os
import socket
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from fairlead.core.settings import Settings

_PREFIX = "FAIRLEAD_"


class OperatorSettings(BaseSettings, Settings):
    """What an administrator may change; field `x_y` is read from FAIRLEAD_X_Y."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, frozen=True, use_attribute_docstrings=True, populate_by_name=True
    )

    namespaces: str = ""
    """Comma-separated namespaces to watch; empty: all of them."""
    lease_namespace: str = ""
    """The namespace of the leader election's Lease; empty: no leader election."""
    identity: str = Field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}", validation_alias="POD_NAME")
    """The holder's name in that Lease; read from POD_NAME."""
    resync_seconds: float = Field(300.0, gt=0)
    """How often every resource is reconciled without a cause; costs no request for one that is as it should be."""
    audit_seconds: float = Field(20.0, gt=0)
    """How often the caches are compared with the API server: an event that a watch lost is found after this time."""
    progress_reads_per_second: float = Field(25.0, gt=0)
    """How many launchers are asked for their progress in a second, over all jobs."""
    progress_writes_per_second: float = Field(5.0, gt=0)
    """How many jobs' progress is written to their status in a second, over all jobs."""
    workers: int = 8
    """How many resources are reconciled at once."""
    port: int = 8081
    """The port of /healthz and /metrics."""
    bind_address: str | None = None
    """The address that this port is bound to; absent: every address of the pod."""
    log_format: Literal["json", "text"] = "json"
    """json or text."""

    @property
    def watched_namespaces(self) -> tuple[str, ...]:
        """Return the namespaces to watch; empty: all of them."""
        return tuple(name for name in self.namespaces.split(",") if name)


def read_settings() -> OperatorSettings:
    """Read the settings; raises ValueError naming the variable, its value and what was expected."""
    try:
        return OperatorSettings()
    except ValidationError as error:
        fields = OperatorSettings.model_fields
        found = []
        for problem in error.errors():
            name = str(problem["loc"][0])
            kind = getattr(fields[name].annotation, "__name__", str(fields[name].annotation))
            found.append(f"{_PREFIX}{name.upper()}: got {problem['input']!r}, expected {kind}: {problem['msg']}")
        raise ValueError("; ".join(found)) from None
