"""Settings of the launcher and the agents: environment variables set by the operator, and the job's key."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fairlead_contracts.environment import TimingEnvironment


class SettingsError(Exception):
    """An invalid setting: the message names the variable, its value and what was expected."""


@dataclass(frozen=True)
class Timing:
    """Intervals and timeouts, in seconds."""

    heartbeat: float
    """Interval between two heartbeats of an agent."""
    silence: float
    """Time without a heartbeat after which the peer counts as lost."""
    stop_grace: float
    """Grace period between SIGTERM and SIGKILL."""
    registration: float = 1800.0
    """Time between the first and the last registration, and for an agent to reach the launcher."""

    @classmethod
    def from_environment(cls, environment: TimingEnvironment) -> Self:
        """Return the timing that the environment sets."""
        return cls(
            environment.heartbeat_seconds,
            environment.silence_seconds,
            environment.stop_grace_seconds,
            environment.registration_seconds,
        )


def read_key(file: Path) -> bytes:
    """Read the job's key: at least 16 bytes as hexadecimal digits. Errors never contain the file's content."""
    try:
        key = bytes.fromhex(file.read_text().strip())
    except OSError as error:
        raise SettingsError(f"FAIRLEAD_KEY_FILE: cannot read {file}: {error.strerror}") from None
    except ValueError:
        raise SettingsError(f"FAIRLEAD_KEY_FILE: {file} does not contain a hexadecimal key") from None
    if len(key) < 16:
        raise SettingsError(f"FAIRLEAD_KEY_FILE: {file} contains {len(key)} bytes, expected at least 16")
    return key
