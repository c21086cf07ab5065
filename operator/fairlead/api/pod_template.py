"""The part of a PodTemplateSpec that Fairlead validates. All other fields are passed through unchanged."""

from typing import Any, ClassVar

from pydantic import Field

from fairlead.api.base import LIST_MAP_BY_NAME, OpenModel, Rule
from fairlead.api.pod_security import Handler, Lifecycle, PodSecurityContext, Port, SecurityContext, never, only
from fairlead.api.volumes import Volume

TRAINER = "trainer"
LAUNCHER = "launcher"


class LocalReference(OpenModel):
    """A reference to an object in the same namespace."""

    name: str = Field(max_length=253)
    """The name of the object."""


class EnvVar(OpenModel):
    """An environment variable."""

    name: str = Field(max_length=1024)
    """Its name."""


class VolumeMount(OpenModel):
    """A volume of the pod in the files of a container."""

    name: str = Field(max_length=63)
    """The name of the volume."""


class Container(OpenModel):
    """A container. Only the fields that Fairlead reads or validates are declared."""

    name: str = Field(max_length=63)
    """The name of the container, unique in the pod."""
    image: str | None = Field(None, max_length=1024)
    """The image of the container."""
    command: list[str] | None = Field(None, max_length=256)
    """The command and its first arguments."""
    args: list[str] | None = Field(None, max_length=256)
    """Arguments appended to the command."""
    env: list[EnvVar] | None = None
    """Environment variables."""
    volume_mounts: list[VolumeMount] | None = None
    """Volumes of the pod in the container's files."""
    ports: list[Port] | None = Field(None, max_length=64)
    """The ports of the container."""
    resources: dict[str, Any] | None = Field(None, json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})
    """Resource requests and limits."""
    liveness_probe: Handler | None = None
    """The probe after whose failure the container is restarted."""
    readiness_probe: Handler | None = None
    """The probe that determines whether the container is ready."""
    startup_probe: Handler | None = None
    """The probe that determines whether the container has started."""
    lifecycle: Lifecycle | None = None
    """Hooks."""
    security_context: SecurityContext | None = None
    """The security context; unset fields default to what the Pod Security level `restricted` requires."""


class PodSpec(OpenModel):
    """The specification of a pod. Only the fields that Fairlead reads or validates are declared."""

    cel: ClassVar[tuple[Rule, ...]] = (
        never("hostNetwork", True, "false or unset"),
        never("hostPID", True, "false or unset"),
        never("hostIPC", True, "false or unset"),
        only("nodeName"),
        only("serviceAccount"),
        never("automountServiceAccountToken", True, "false or unset"),
        Rule(
            "!has(self.priorityClassName) || !self.priorityClassName.startsWith('system-')",
            "priorityClassName: system priority classes are not allowed",
            lambda spec: not (spec.priority_class_name or "").startswith("system-"),
            field=".priorityClassName",
        ),
    )

    containers: list[Container] = Field(min_length=1, max_length=16, json_schema_extra=LIST_MAP_BY_NAME)
    """The containers of the pod."""
    init_containers: list[Container] | None = Field(None, max_length=16, json_schema_extra=LIST_MAP_BY_NAME)
    """Containers that run to completion before the other containers start."""
    volumes: list[Volume] | None = Field(None, max_length=64, json_schema_extra=LIST_MAP_BY_NAME)
    """The volumes of the pod."""
    security_context: PodSecurityContext | None = None
    """The security context of the pod; unset fields default to what the Pod Security level `restricted` requires."""
    image_pull_secrets: list[LocalReference] | None = Field(None, max_length=64)
    """Secrets for pulling images."""
    host_network: bool | None = None
    """Must not be true."""
    host_pid: bool | None = Field(None, alias="hostPID")
    """Must not be true."""
    host_ipc: bool | None = Field(None, alias="hostIPC")
    """Must not be true."""
    node_name: str | None = Field(None, max_length=253)
    """Not allowed, because it bypasses the scheduler; use nodeSelector or affinity."""
    priority_class_name: str | None = Field(None, max_length=253)
    """The priority class; those of the system are not allowed."""
    service_account_name: str | None = Field(None, max_length=253)
    """`default` if unset, or one that the administrator allows the namespace, such as for workload identity."""
    service_account: str | None = Field(None, max_length=253)
    """Not allowed: the deprecated form of serviceAccountName."""
    automount_service_account_token: bool | None = None
    """Must not be true: job and serving pods do not access the API server."""


class LauncherPodSpec(PodSpec):
    """The specification of the launcher's pod."""

    containers: list[Container] | None = Field(  # type: ignore[assignment]
        None, max_length=16, json_schema_extra=LIST_MAP_BY_NAME
    )
    """The containers of the pod; the one named `launcher` runs the launcher, and its command cannot be changed."""


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


class LauncherTemplate(OpenModel):
    """The pod template of the launcher. What it does not set is copied from the workers' template or has a default."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.spec) || !has(self.spec.containers)"
            " || self.spec.containers.all(c, c.name != 'launcher' || (!has(c.command) && !has(c.args)))",
            "spec.containers[launcher]: command and args cannot be changed; remove them",
            lambda template: all(
                c.command is None and c.args is None
                for c in (template.spec and template.spec.containers) or ()
                if c.name == LAUNCHER
            ),
            field=".spec.containers",
        ),
    )

    metadata: PodMeta | None = None
    """Additional metadata of the pod."""
    spec: LauncherPodSpec | None = None
    """The specification of the pod."""
