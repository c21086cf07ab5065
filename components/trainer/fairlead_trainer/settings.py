"""Settings of the launcher and the agents: what the operator wrote into their environment, and the job's key."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fairlead_contracts.environment import TimingEnvironment


class SettingsError(Exception):
    """Name the variable, its value and what was expected."""


@dataclass(frozen=True)
class Timing:
    """How long things may take, in seconds."""

    heartbeat: float
    """Between two heartbeats of an agent."""
    silence: float
    """Without a heartbeat before the other side counts as lost."""
    stop_grace: float
    """Between SIGTERM and SIGKILL."""

    @classmethod
    def from_environment(cls, environment: TimingEnvironment) -> Self:
        """Return the times that the environment sets."""
        return cls(environment.heartbeat_seconds, environment.silence_seconds, environment.stop_grace_seconds)


def read_key(file: Path) -> bytes:
    """Read the job's key: at least 16 bytes as hexadecimal digits. An error never repeats what the file holds."""
    try:
        key = bytes.fromhex(file.read_text().strip())
    except OSError as error:
        raise SettingsError(f"FAIRLEAD_KEY_FILE: cannot read {file}: {error.strerror}") from None
    except ValueError:
        raise SettingsError(f"FAIRLEAD_KEY_FILE: {file} holds no hexadecimal key") from None
    if len(key) < 16:
        raise SettingsError(f"FAIRLEAD_KEY_FILE: {file} holds {len(key)} bytes, expected at least 16")
    return key
