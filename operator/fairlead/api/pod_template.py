"""The part of a PodTemplateSpec that Fairlead checks. Everything else in a template passes through untouched."""

from collections.abc import Iterable
from typing import Any, ClassVar

from pydantic import Field

from fairlead.api.base import LIST_MAP_BY_NAME, OpenModel, Rule

TRAINER = "trainer"

_NO_SERVICE_ACCOUNT = (
    "serviceAccountName: job and serving pods run as the namespace's default account without its token; remove it"
)


class SecurityContext(OpenModel):
    """The part of a security context that would give a container more than `restricted` allows."""

    privileged: bool | None = None
    """Rejected when true."""


class Container(OpenModel):
    """A container; the fields that Fairlead reads."""

    name: str = Field(max_length=63)
    """Its name; unique in the pod."""
    image: str | None = Field(None, max_length=1024)
    """Its image."""
    command: list[str] | None = Field(None, max_length=256)
    """The program and its first arguments."""
    args: list[str] | None = Field(None, max_length=256)
    """Further arguments."""
    security_context: SecurityContext | None = None
    """Privileges; `restricted` defaults are added to what is set here."""


def _any_privileged(containers: Iterable[Container]) -> bool:
    return any(c.security_context is not None and c.security_context.privileged for c in containers)


class Volume(OpenModel):
    """A volume; the field that is refused."""

    name: str = Field(max_length=63)
    """Its name; unique in the pod."""
    host_path: dict[str, Any] | None = Field(None, json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})
    """Rejected: the node's files are not the job's."""


class PodSpec(OpenModel):
    """A pod's specification; the fields that Fairlead reads or refuses."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.hostNetwork) || !self.hostNetwork",
            "hostNetwork: got true, expected false or none",
            lambda spec: not spec.host_network,
            field=".hostNetwork",
        ),
        Rule(
            "!has(self.hostPID) || !self.hostPID",
            "hostPID: got true, expected false or none",
            lambda spec: not spec.host_pid,
            field=".hostPID",
        ),
        Rule(
            "!has(self.hostIPC) || !self.hostIPC",
            "hostIPC: got true, expected false or none",
            lambda spec: not spec.host_ipc,
            field=".hostIPC",
        ),
        Rule(
            "!has(self.volumes) || self.volumes.all(v, !has(v.hostPath))",
            "volumes: hostPath is refused; expected another kind of volume",
            lambda spec: all(volume.host_path is None for volume in spec.volumes or ()),
            field=".volumes",
        ),
        Rule(
            "self.containers.all(c, !has(c.securityContext) || !has(c.securityContext.privileged)"
            " || !c.securityContext.privileged)",
            "containers: privileged is refused",
            lambda spec: not _any_privileged(spec.containers),
            field=".containers",
        ),
        Rule(
            "!has(self.initContainers) || self.initContainers.all(c, !has(c.securityContext)"
            " || !has(c.securityContext.privileged) || !c.securityContext.privileged)",
            "initContainers: privileged is refused",
            lambda spec: not _any_privileged(spec.init_containers or ()),
            field=".initContainers",
        ),
        Rule(
            "!has(self.serviceAccountName) || self.serviceAccountName in ['', 'default']",
            _NO_SERVICE_ACCOUNT,
            lambda spec: spec.service_account_name in (None, "", "default"),
            "'serviceAccountName: got ' + self.serviceAccountName + ', expected none or default: job and serving"
            " pods run without an API token'",
            field=".serviceAccountName",
        ),
    )

    containers: list[Container] = Field(min_length=1, max_length=16, json_schema_extra=LIST_MAP_BY_NAME)
    """The pod's containers."""
    init_containers: list[Container] | None = Field(None, max_length=16, json_schema_extra=LIST_MAP_BY_NAME)
    """Containers that run to completion first."""
    volumes: list[Volume] | None = Field(None, max_length=64, json_schema_extra=LIST_MAP_BY_NAME)
    """The pod's volumes."""
    host_network: bool | None = None
    """Rejected when true."""
    host_pid: bool | None = Field(None, alias="hostPID")
    """Rejected when true."""
    host_ipc: bool | None = Field(None, alias="hostIPC")
    """Rejected when true."""
    service_account_name: str | None = Field(None, max_length=253)
    """Rejected unless `default`: job and serving pods have no business with the API server."""


class PodMeta(OpenModel):
    """Labels and annotations of the pods."""

    labels: dict[str, str] | None = None
    """Added to the pods' own labels."""
    annotations: dict[str, str] | None = None
    """Added to the pods' own annotations."""


class PodTemplate(OpenModel):
    """A PodTemplateSpec."""

    metadata: PodMeta | None = None
    """Labels and annotations of the pods."""
    spec: PodSpec
    """The pods' specification."""


class TrainerTemplate(PodTemplate):
    """The PodTemplateSpec of a worker: the container named `trainer` is the training container."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.spec.containers.exists_one(c, c.name == 'trainer')",
            "spec.containers: expected one container named trainer",
            lambda template: [c.name for c in template.spec.containers].count(TRAINER) == 1,
            field=".spec.containers",
        ),
        Rule(
            "self.spec.containers.all(c, c.name != 'trainer' || (has(c.command) && size(c.command) > 0))",
            "spec.containers[trainer].command: got none, expected the training command: the agent starts it",
            lambda template: all(c.command for c in template.spec.containers if c.name == TRAINER),
            field=".spec.containers",
        ),
        Rule(
            "self.spec.containers.all(c, c.name != 'trainer' || (has(c.image) && size(c.image) > 0))",
            "spec.containers[trainer].image: got none, expected an image that holds the trainer package",
            lambda template: all(c.image for c in template.spec.containers if c.name == TRAINER),
            field=".spec.containers",
        ),
    )

    @property
    def trainer(self) -> Container:
        """Return the training container."""
        return next(container for container in self.spec.containers if container.name == TRAINER)
