"""What pods of Fairlead may not contain, as one table for CEL and Python.

Denied is what the Pod Security Standard `restricted` denies, and what reaches the API server, the node or another
namespace's priority. Service accounts are checked by the planners, because the administrator's list allows some.
"""

from typing import Any, ClassVar

from pydantic import Field

from fairlead.api.base import OpenModel, Rule

_UNTYPED: dict[str, Any] = {"x-kubernetes-preserve-unknown-fields": True}


def never(field: str, value: Any, expected: str) -> Rule:
    """Deny one value of a field."""
    literal = _literal(value)
    return Rule(
        f"!has(self.{field}) || self.{field} != {literal}",
        f"{field}: got {literal.strip(chr(39))}, expected {expected}",
        lambda model: (found := _get(model, field)) is None or found != value,
        field=f".{field}",
    )


def absent(field: str, hint: str) -> Rule:
    """Deny a field."""
    return Rule(
        f"!has(self.{field})",
        f"{field}: is not allowed; {hint}",
        lambda model: _get(model, field) is None,
        field=f".{field}",
    )


def only(field: str, *allowed: str) -> Rule:
    """Deny all values of a field but these; unset is allowed."""
    expected = " or ".join(allowed) or "unset"
    values = ("", *allowed)
    return Rule(
        f"!has(self.{field}) || self.{field} in [{', '.join(map(_literal, values))}]",
        f"{field}: expected {expected}",
        lambda model: (found := _get(model, field)) is None or found in values,
        field=f".{field}",
    )


def _literal(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value).lower()


def _get(model: Any, field: str) -> Any:
    names = {str(info.alias): name for name, info in type(model).model_fields.items()}
    return getattr(model, names[field])


class Capabilities(OpenModel):
    """The Linux capabilities of a container. All are dropped."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.add) || self.add.all(c, c == 'NET_BIND_SERVICE')",
            "add: expected NET_BIND_SERVICE or none",
            lambda capabilities: set(capabilities.add or ()) <= {"NET_BIND_SERVICE"},
            field=".add",
        ),
    )

    add: list[str] | None = Field(None, max_length=32)
    """The capabilities to add: NET_BIND_SERVICE or none."""


class Profile(OpenModel):
    """A seccomp or AppArmor profile."""

    cel: ClassVar[tuple[Rule, ...]] = (only("type", "RuntimeDefault", "Localhost"),)

    type: str | None = Field(None, max_length=64)
    """RuntimeDefault or Localhost."""


class SELinuxOptions(OpenModel):
    """The SELinux label of a container."""

    cel: ClassVar[tuple[Rule, ...]] = (
        only("type", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"),
        only("user"),
        only("role"),
    )

    type: str | None = Field(None, max_length=64)
    """One of the container types."""
    user: str | None = Field(None, max_length=64)
    """Not allowed."""
    role: str | None = Field(None, max_length=64)
    """Not allowed."""


class WindowsOptions(OpenModel):
    """Options of Windows containers."""

    cel: ClassVar[tuple[Rule, ...]] = (never("hostProcess", True, "false or unset"),)

    host_process: bool | None = None
    """Must not be true."""


class AnySecurityContext(OpenModel):
    """The fields that security contexts of pods and of containers share."""

    cel: ClassVar[tuple[Rule, ...]] = (
        never("runAsNonRoot", False, "true or unset"),
        never("runAsUser", 0, "another user or unset"),
    )

    run_as_non_root: bool | None = None
    """Must not be false."""
    run_as_user: int | None = Field(None, ge=0)
    """Must not be 0; defaults to the image's user, or to what the cluster assigns."""
    seccomp_profile: Profile | None = None
    """The seccomp profile."""
    app_armor_profile: Profile | None = None
    """The AppArmor profile."""
    se_linux_options: SELinuxOptions | None = None
    """The SELinux label."""
    windows_options: WindowsOptions | None = None
    """Options of Windows containers."""


class PodSecurityContext(AnySecurityContext):
    """The security context of a pod; unset fields default to what `restricted` requires."""

    cel: ClassVar[tuple[Rule, ...]] = (absent("sysctls", "they change the node's kernel"),)

    sysctls: list[dict[str, Any]] | None = Field(None, max_length=64, json_schema_extra=_UNTYPED)
    """Not allowed."""


class SecurityContext(AnySecurityContext):
    """The security context of a container; unset fields default to what `restricted` requires."""

    cel: ClassVar[tuple[Rule, ...]] = (
        never("privileged", True, "false or unset"),
        never("allowPrivilegeEscalation", True, "false or unset"),
        only("procMount", "Default"),
    )

    privileged: bool | None = None
    """Must not be true."""
    allow_privilege_escalation: bool | None = None
    """Must not be true."""
    proc_mount: str | None = Field(None, max_length=64)
    """Must be Default or unset."""
    capabilities: Capabilities | None = None
    """The capabilities of the container."""


class Port(OpenModel):
    """A port of a container."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.hostPort) || self.hostPort == 0",
            "hostPort: is not allowed; use a Service",
            lambda port: not port.host_port,
            field=".hostPort",
        ),
    )

    host_port: int | None = Field(None, ge=0, le=65535)
    """Not allowed."""


class HostedAction(OpenModel):
    """The target of a probe or hook that the kubelet calls, on the pod itself."""

    cel: ClassVar[tuple[Rule, ...]] = (only("host"),)

    host: str | None = Field(None, max_length=253)
    """Not allowed: the node would connect to another host."""


class Handler(OpenModel):
    """A probe or hook."""

    http_get: HostedAction | None = None
    """An HTTP request."""
    tcp_socket: HostedAction | None = None
    """A TCP connection."""


class Lifecycle(OpenModel):
    """The hooks of a container."""

    post_start: Handler | None = None
    """The hook that runs after the start."""
    pre_stop: Handler | None = None
    """The hook that runs before the end."""


class ProjectedSource(OpenModel):
    """A source of a projected volume."""

    cel: ClassVar[tuple[Rule, ...]] = (absent("serviceAccountToken", "pods do not access the API server"),)

    service_account_token: dict[str, Any] | None = Field(None, json_schema_extra=_UNTYPED)
    """Not allowed."""


class Projected(OpenModel):
    """A projected volume."""

    sources: list[ProjectedSource] | None = Field(None, max_length=32)
    """Its sources."""


_DENIED_VOLUMES = (
    "hostPath", "nfs", "iscsi", "cephfs", "rbd", "glusterfs", "fc", "flexVolume", "flocker", "gitRepo", "quobyte",
    "scaleIO", "storageos", "azureDisk", "azureFile", "awsElasticBlockStore", "gcePersistentDisk", "cinder",
    "photonPersistentDisk", "portworxVolume", "vsphereVolume",
)  # fmt: skip
"""The volume types that `restricted` does not allow."""


class Volume(OpenModel):
    """A volume. Only the fields that Fairlead validates are declared."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            " && ".join(f"!has(self.{field})" for field in _DENIED_VOLUMES),
            "hostPath and other volumes outside of the level restricted are not allowed; use a PersistentVolumeClaim",
            lambda volume: all(_get(volume, field) is None for field in _DENIED_VOLUMES),
        ),
    )

    name: str = Field(max_length=63)
    """The name of the volume, unique in the pod."""
    projected: Projected | None = None
    """Secrets, ConfigMaps and fields of the pod in one folder."""
    host_path: dict[str, Any] | None = Field(None, json_schema_extra=_UNTYPED)
    """Not allowed, because it would expose the node's files."""
    nfs: dict[str, Any] | None = Field(None, json_schema_extra=_UNTYPED)
    """Not allowed."""
    iscsi: dict[str, Any] | None = Field(None, json_schema_extra=_UNTYPED)
    """Not allowed."""
    cephfs: dict[str, Any] | None = Field(None, json_schema_extra=_UNTYPED)
    """Not allowed."""
    rbd: dict[str, Any] | None = Field(None, json_schema_extra=_UNTYPED)
    """Not allowed."""
    glusterfs: dict[str, Any] | None = Field(None, json_schema_extra=_UNTYPED)
    """Not allowed."""
    fc: dict[str, Any] | None = Field(None, json_schema_extra=_UNTYPED)
    """Not allowed."""
    flex_volume: dict[str, Any] | None = Field(None, json_schema_extra=_UNTYPED)
    """Not allowed."""
    flocker: dict[str, Any] | None = Field(None, json_schema_extra=_UNTYPED)
    """Not allowed."""
    git_repo: dict[str, Any] | None = Field(None, json_schema_extra=_UNTYPED)
    """Not allowed."""
    quobyte: dict[str, Any] | None = Field(None, json_schema_extra=_UNTYPED)
    """Not allowed."""
    scale_io: dict[str, Any] | None = Field(None, alias="scaleIO", json_schema_extra=_UNTYPED)
    """Not allowed."""
    storageos: dict[str, Any] | None = Field(None, json_schema_extra=_UNTYPED)
    """Not allowed."""
    azure_disk: dict[str, Any] | None = Field(None, json_schema_extra=_UNTYPED)
    """Not allowed."""
    azure_file: dict[str, Any] | None = Field(None, json_schema_extra=_UNTYPED)
    """Not allowed."""
    aws_elastic_block_store: dict[str, Any] | None = Field(None, json_schema_extra=_UNTYPED)
    """Not allowed."""
    gce_persistent_disk: dict[str, Any] | None = Field(None, json_schema_extra=_UNTYPED)
    """Not allowed."""
    cinder: dict[str, Any] | None = Field(None, json_schema_extra=_UNTYPED)
    """Not allowed."""
    photon_persistent_disk: dict[str, Any] | None = Field(None, json_schema_extra=_UNTYPED)
    """Not allowed."""
    portworx_volume: dict[str, Any] | None = Field(None, json_schema_extra=_UNTYPED)
    """Not allowed."""
    vsphere_volume: dict[str, Any] | None = Field(None, json_schema_extra=_UNTYPED)
    """Not allowed."""
