"""Settings of the planners. `fairlead.handlers.settings` adds those of the operator process."""

import re

from pydantic import BaseModel, ConfigDict, Field, field_validator

from fairlead import __version__

_HOST_PATTERN = re.compile(r"\*|(\*\.)?([a-z0-9-]|\{namespace\})+(\.([a-z0-9-]|\{namespace\})+)*")


class Settings(BaseModel):
    """Settings of the planners; the field `x_y` is read from FAIRLEAD_X_Y."""

    model_config = ConfigDict(frozen=True)

    graph_server_image: str = f"fairlead/graph-server:{__version__}"
    """The image of the graph server."""
    graph_server_cuda_image: str = f"fairlead/graph-server-cuda:{__version__}"
    """The image of the graph server of predictors that ask for NVIDIA GPUs."""
    converter_image: str = f"fairlead/onnx-converter:{__version__}"
    """The image in which the models of retraining runs are converted."""
    image_pull_policy: str = "IfNotPresent"
    """The pull policy of the images of graph servers and converters."""
    image_pull_secrets: str = ""
    """Comma-separated names of Secrets for pulling images, added to all pods; each namespace has its own."""
    service_accounts: str = ""
    """Comma-separated service accounts that pods may use besides default, as `namespace/name`; `*/name` for all."""
    artifact_prefixes: str = ""
    """Comma-separated `namespace=URI prefix` pairs; `*` is every namespace. Empty: every URI is allowed."""
    route_hosts: str = ""
    """Comma-separated `namespace=host` pairs: the DNS names that a ModelDeployment may expose. `*` is every namespace,
    `{namespace}` in a host its namespace, `*.` at its beginning all names below it, and `*` alone any. Empty: none."""
    ingress_annotations: str = ""
    """Comma-separated keys of the annotations that a ModelDeployment may give its Ingress. Empty: none."""
    network_policies: bool = True
    """Whether each job gets a NetworkPolicy, so that only its own pods and the operator reach its pods."""
    restart_seconds: float = Field(10.0, ge=0, le=360)
    """How long a job backs off before its first restart; doubled for each further one, up to six minutes."""
    progress_seconds: float = Field(2.0, gt=0)
    """The minimum interval between two progress updates of a job."""
    gate_seconds: float = Field(5.0, gt=0)
    """How often to check the dataset and validation result of a blocked job."""
    creation_seconds: float = Field(60.0, gt=0)
    """How long a job keeps its pods while others cannot be created, before it releases them and backs off."""
    termination_seconds: float = Field(300.0, gt=0)
    """How long to wait for a pod past the end of its grace period, before the job fails."""

    prometheus_url: str = ""
    """The URL of the Prometheus that rollouts' queries are asked of; {namespace} in it is the deployment's. None if
    empty."""

    @field_validator("prometheus_url")
    @classmethod
    def _check_url(cls, text: str) -> str:
        if not text:
            return text
        scheme, _, rest = text.partition("://")
        if scheme not in ("http", "https"):
            raise ValueError(f"expected http://… or https://…, got {text!r}")
        if "{" in rest.partition("/")[0].partition("?")[0]:
            # a tenant may own the Service of such a name
            raise ValueError(f"expected {{namespace}} in the path or the query, got {text!r}")
        return text

    @field_validator("service_accounts")
    @classmethod
    def _check_accounts(cls, text: str) -> str:
        for item in _split(text):
            if not all(item.partition("/")):
                raise ValueError(f"expected namespace/name, got {item!r}")
        return text

    @field_validator("artifact_prefixes")
    @classmethod
    def _check_prefixes(cls, text: str) -> str:
        for item in _split(text):
            namespace, _, prefix = item.partition("=")
            if not namespace or not prefix.startswith(("s3://", "file://")):
                raise ValueError(f"expected namespace=s3://… or namespace=file://…, got {item!r}")
        return text

    @field_validator("route_hosts")
    @classmethod
    def _check_hosts(cls, text: str) -> str:
        for item in _split(text):
            namespace, _, host = item.partition("=")
            if not namespace or not _HOST_PATTERN.fullmatch(host):
                raise ValueError(f"expected namespace=host, namespace=*.host or namespace=*, got {item!r}")
        return text

    @property
    def allowed_service_accounts(self) -> tuple[tuple[str, str], ...]:
        """Return the allowed service accounts as (namespace, name) pairs."""
        pairs = (item.partition("/") for item in _split(self.service_accounts))
        return tuple((namespace, name) for namespace, _, name in pairs)

    @property
    def allowed_prefixes(self) -> tuple[tuple[str, str], ...]:
        """Return the allowed URI prefixes as (namespace, prefix) pairs; empty if every URI is allowed."""
        pairs = (item.partition("=") for item in _split(self.artifact_prefixes))
        return tuple((namespace, prefix.rstrip("/")) for namespace, _, prefix in pairs)

    @property
    def allowed_hosts(self) -> tuple[tuple[str, str], ...]:
        """Return the hosts that may be exposed as (namespace, pattern) pairs."""
        pairs = (item.partition("=") for item in _split(self.route_hosts))
        return tuple((namespace, host) for namespace, _, host in pairs)

    @property
    def allowed_annotations(self) -> frozenset[str]:
        """Return the keys of the annotations that an Ingress may have."""
        return frozenset(_split(self.ingress_annotations))

    @property
    def pull_secrets(self) -> tuple[str, ...]:
        """Return the names of the pull secrets."""
        return _split(self.image_pull_secrets)


def _split(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())
