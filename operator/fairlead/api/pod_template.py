"""The part of a PodTemplateSpec that Fairlead validates. All other fields are passed through unchanged."""

from collections.abc import Iterable
from typing import Any, ClassVar

from pydantic import Field

from fairlead.api.base import LIST_MAP_BY_NAME, OpenModel, Rule

TRAINER = "trainer"

_NO_SERVICE_ACCOUNT = (
    "serviceAccountName: job and serving pods run as the default service account without its token; remove this field"
)


class SecurityContext(OpenModel):
    """The fields of a security context that the Pod Security level `restricted` does not allow."""

    privileged: bool | None = None
    """Must not be true."""


class Container(OpenModel):
    """A container. Only the fields that Fairlead reads are declared."""

    name: str = Field(max_length=63)
    """The name of the container, unique in the pod."""
    image: str | None = Field(None, max_length=1024)
    """The image of the container."""
    command: list[str] | None = Field(None, max_length=256)
    """The command and its first arguments."""
    args: list[str] | None = Field(None, max_length=256)
    """Arguments appended to the command."""
    security_context: SecurityContext | None = None
    """The security context; unset fields default to what the Pod Security level `restricted` requires."""


def _any_privileged(containers: Iterable[Container]) -> bool:
    return any(c.security_context is not None and c.security_context.privileged for c in containers)


class Volume(OpenModel):
    """A volume. Only the fields that Fairlead validates are declared."""

    name: str = Field(max_length=63)
    """The name of the volume, unique in the pod."""
    host_path: dict[str, Any] | None = Field(None, json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})
    """Not allowed, because it would expose the node's files."""


class PodSpec(OpenModel):
    """The specification of a pod. Only the fields that Fairlead reads or validates are declared."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.hostNetwork) || !self.hostNetwork",
            "hostNetwork: got true, expected false or unset",
            lambda spec: not spec.host_network,
            field=".hostNetwork",
        ),
        Rule(
            "!has(self.hostPID) || !self.hostPID",
            "hostPID: got true, expected false or unset",
            lambda spec: not spec.host_pid,
            field=".hostPID",
        ),
        Rule(
            "!has(self.hostIPC) || !self.hostIPC",
            "hostIPC: got true, expected false or unset",
            lambda spec: not spec.host_ipc,
            field=".hostIPC",
        ),
        Rule(
            "!has(self.volumes) || self.volumes.all(v, !has(v.hostPath))",
            "volumes: hostPath is not allowed; use another volume type",
            lambda spec: all(volume.host_path is None for volume in spec.volumes or ()),
            field=".volumes",
        ),
        Rule(
            "self.containers.all(c, !has(c.securityContext) || !has(c.securityContext.privileged)"
            " || !c.securityContext.privileged)",
            "containers: privileged is not allowed",
            lambda spec: not _any_privileged(spec.containers),
            field=".containers",
        ),
        Rule(
            "!has(self.initContainers) || self.initContainers.all(c, !has(c.securityContext)"
            " || !has(c.securityContext.privileged) || !c.securityContext.privileged)",
            "initContainers: privileged is not allowed",
            lambda spec: not _any_privileged(spec.init_containers or ()),
            field=".initContainers",
        ),
        Rule(
            "!has(self.serviceAccountName) || self.serviceAccountName in ['', 'default']",
            _NO_SERVICE_ACCOUNT,
            lambda spec: spec.service_account_name in (None, "", "default"),
            "'serviceAccountName: got ' + self.serviceAccountName + ', expected default or unset: job and serving"
            " pods run without an API token'",
            field=".serviceAccountName",
        ),
    )

    containers: list[Container] = Field(min_length=1, max_length=16, json_schema_extra=LIST_MAP_BY_NAME)
    """The containers of the pod."""
    init_containers: list[Container] | None = Field(None, max_length=16, json_schema_extra=LIST_MAP_BY_NAME)
    """Containers that run to completion before the other containers start."""
    volumes: list[Volume] | None = Field(None, max_length=64, json_schema_extra=LIST_MAP_BY_NAME)
    """The volumes of the pod."""
    host_network: bool | None = None
    """Must not be true."""
    host_pid: bool | None = Field(None, alias="hostPID")
    """Must not be true."""
    host_ipc: bool | None = Field(None, alias="hostIPC")
    """Must not be true."""
    service_account_name: str | None = Field(None, max_length=253)
    """Must be `default` or unset: job and serving pods do not access the API server."""


class PodMeta(OpenModel):
    """Additional metadata of the pods."""

    labels: dict[str, str] | None = None
    """Labels to add to the pods."""
    annotations: dict[str, str] | None = None
    """Annotations to add to the pods."""


class PodTemplate(OpenModel):
    """A pod template, as in a Deployment."""

    metadata: PodMeta | None = None
    """Additional metadata of the pods."""
    spec: PodSpec
    """The specification of the pods."""


class TrainerTemplate(PodTemplate):
    """The pod template of the workers. The container named `trainer` runs the training."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.spec.containers.exists_one(c, c.name == 'trainer')",
            "spec.containers: expected one container named trainer",
            lambda template: [c.name for c in template.spec.containers].count(TRAINER) == 1,
            field=".spec.containers",
        ),
        Rule(
            "self.spec.containers.all(c, c.name != 'trainer' || (has(c.command) && size(c.command) > 0))",
            "spec.containers[trainer].command: got none, expected the training command",
            lambda template: all(c.command for c in template.spec.containers if c.name == TRAINER),
            field=".spec.containers",
        ),
        Rule(
            "self.spec.containers.all(c, c.name != 'trainer' || (has(c.image) && size(c.image) > 0))",
            "spec.containers[trainer].image: got none, expected an image with the trainer package installed",
            lambda template: all(c.image for c in template.spec.containers if c.name == TRAINER),
            field=".spec.containers",
        ),
    )

    @property
    def trainer(self) -> Container:
        """Return the training container."""
        return next(container for container in self.spec.containers if container.name == TRAINER)
