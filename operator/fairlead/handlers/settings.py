"""The operator's settings, read from environment variables FAIRLEAD_* at startup."""

import os
import socket
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from fairlead.core.settings import Settings

_PREFIX = "FAIRLEAD_"


class OperatorSettings(BaseSettings, Settings):
    """The settings of the operator; the field `x_y` is read from FAIRLEAD_X_Y."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, populate_by_name=True)

    namespaces: str = ""
    """Comma-separated namespaces to watch; empty for all."""
    lease_namespace: str = ""
    """The namespace of the Lease for leader election; empty to disable leader election."""
    lease_name: str = "fairlead-operator"
    """The name of that Lease; each installation in a namespace has its own."""
    scope_namespace: str = "kube-system"
    """Where cluster-wide installations meet: only the holder of a Lease there works, the others wait."""
    identity: str = Field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}", validation_alias="POD_NAME")
    """The identity of the holder in that Lease; read from POD_NAME."""
    resync_seconds: float = Field(300.0, gt=0)
    """How often every resource is reconciled without a change."""
    audit_seconds: float = Field(20.0, gt=0)
    """How often the caches are compared with the API server, to detect lost watch events."""
    store_seconds: float = Field(12.0, gt=0)
    """How long a read of the artifact store may take before it counts as unavailable."""
    progress_reads_per_second: float = Field(25.0, gt=0)
    """The maximum number of progress reads per second, over all jobs."""
    registration_reads_per_second: float = Field(100.0, gt=0)
    """The maximum number of reads per second from launchers whose workers have not all registered, over all jobs."""
    progress_writes_per_second: float = Field(5.0, gt=0)
    """The maximum number of progress writes per second, over all jobs."""
    metrics_jobs: int = Field(200, ge=0)
    """The number of running jobs that have metrics of their own, such as their step; 0 for none."""
    workers: int = Field(8, ge=1)
    """The number of resources that are reconciled concurrently."""
    port: int = 8081
    """The port of /healthz and /metrics."""
    bind_address: str | None = None
    """The address that the port is bound to; all addresses by default."""
    log_format: Literal["json", "text"] = "json"
    """The log format: json or text."""

    @property
    def watched_namespaces(self) -> tuple[str, ...]:
        """Return the namespaces to watch; empty for all."""
        return tuple(name.strip() for name in self.namespaces.split(",") if name.strip())


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
