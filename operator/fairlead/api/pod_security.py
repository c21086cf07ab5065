"""What pods of Fairlead may not contain, as one table for CEL and Python.

Denied is what the Pod Security Standard `restricted` denies, and what reaches the API server, the node or another
namespace's priority. Service accounts are checked by the planners, because the administrator's list allows some.
"""

from typing import Any, ClassVar

from pydantic import Field

from fairlead.api.base import OpenModel, Rule

UNTYPED: dict[str, Any] = {"x-kubernetes-preserve-unknown-fields": True}
"""The schema of an object whose fields are not declared."""


def never(field: str, value: Any, expected: str) -> Rule:
    """Deny one value of a field."""
    literal = _literal(value)
    return Rule(
        f"!has(self.{field}) || self.{field} != {literal}",
        f"{field}: got {literal.strip(chr(39))}, expected {expected}",
        lambda model: (found := get_field(model, field)) is None or found != value,
        field=f".{field}",
    )


def absent(field: str, hint: str) -> Rule:
    """Deny a field."""
    return Rule(
        f"!has(self.{field})",
        f"{field}: is not allowed; {hint}",
        lambda model: get_field(model, field) is None,
        field=f".{field}",
    )


def only(field: str, *allowed: str) -> Rule:
    """Deny all values of a field but these; unset is allowed."""
    expected = " or ".join(allowed) or "unset"
    values = ("", *allowed)
    return Rule(
        f"!has(self.{field}) || self.{field} in [{', '.join(map(_literal, values))}]",
        f"{field}: expected {expected}",
        lambda model: (found := get_field(model, field)) is None or found in values,
        field=f".{field}",
    )


def _literal(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value).lower()


def get_field(model: Any, field: str) -> Any:
    """Return the value of a field by its name in JSON."""
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

    sysctls: list[dict[str, Any]] | None = Field(None, max_length=64, json_schema_extra=UNTYPED)
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
