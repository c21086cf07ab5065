"""The limits of a server, and how they add up to the memory of its pod (docs/decisions/0010-model-process.md)."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


class InvalidSetting(ValueError):
    """An environment variable is invalid."""

    def __init__(self, name: str, got: str, expected: str) -> None:
        super().__init__(f"{name}: got {got!r}, expected {expected}")
        self.name, self.got, self.expected = name, got, expected


@dataclass(frozen=True)
class Limits:
    """Bounds per request, per connection and over all connections."""

    memory_bytes: int = 2 * GIB
    """Memory of all processes: a quarter is for HTTP, three quarters for the models."""
    max_body_bytes: int = 16 * MIB
    max_response_bytes: int = 64 * MIB
    max_in_flight: int = 256
    """Maximum number of whole requests that are answered at a time; further requests are answered with 503."""
    max_header_bytes: int = 32 * KIB
    """Maximum size of a request line and its headers."""
    max_connections: int = 1024
    """At this number, the connection that has been idle for longest is closed for a new one."""
    max_connections_per_client: int = 512
    """Maximum number of connections from one address; a proxy is one client, too."""
    header_timeout_seconds: float = 10.0
    body_timeout_seconds: float = 30.0
    idle_timeout_seconds: float = 75.0
    """Longer than the idle timeout of pooled clients and load balancers: they must close connections first."""
    write_timeout_seconds: float = 30.0
    """A response must be read within this time, or at 64 KiB/s at least."""
    run_timeout_seconds: float = 30.0
    """Deadline for the response to a whole request."""
    load_timeout_seconds: float = 60.0
    """Deadline for each step of loading: one model, or a request of made-up input; longer for several processes."""
    drain_seconds: float = 5.0
    """Time after SIGTERM during which requests are still accepted, while endpoints and clients' pools are updated."""
    grace_seconds: float = 20.0
    """Time after that for requests in flight to finish."""

    @property
    def model_bytes(self) -> int:
        """Return the memory limit of the model process, or of all of them together."""
        return self.memory_bytes // 4 * 3

    def share_model_bytes(self, processes: int) -> int:
        """Return the memory limit of each of several model processes.

        A response arrives as a whole before it counts as one that its client has not read. That of one process has
        its place in the memory of the HTTP process; those of the others are taken from what is for models.
        """
        return (self.model_bytes - (processes - 1) * self.max_response_bytes) // processes

    @cached_property
    def buffered_bytes(self) -> int:
        """Return the limit for all incomplete and waiting bodies, but for 64 KiB of one for each connection."""
        return max(self.memory_bytes // 16, self.max_body_bytes)

    @cached_property
    def unsent_bytes(self) -> int:
        """Return the limit for all responses that clients have not read."""
        return max(self.memory_bytes // 16, self.max_response_bytes)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, defaults: Self | None = None) -> Self:
        """Read FAIRLEAD_<FIELD> for each field, such as FAIRLEAD_MAX_BODY_BYTES; raise InvalidSetting."""
        base = defaults or cls()
        changes: dict[str, Any] = {}
        for field in fields(cls):
            name = f"FAIRLEAD_{field.name.upper()}"
            if text := environment.get(name, ""):
                least = 0 if field.name in ("drain_seconds", "grace_seconds") else 1 if field.type is int else 0.001
                changes[field.name] = read_number(name, text, field.type is int, least)
        return replace(base, **changes)


def read_number(name: str, text: str, whole: bool, least: float) -> float:
    """Parse a number of at least `least`; raise InvalidSetting."""
    kind: Callable[[str], float] = int if whole else float
    try:
        value = kind(text)
    except ValueError:
        value = float("nan")
    if not least <= value < float("inf"):
        raise InvalidSetting(name, text, f"{'an integer' if whole else 'a number'} of at least {least:g}")
    return value
