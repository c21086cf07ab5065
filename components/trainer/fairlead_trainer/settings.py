"""Settings of the launcher and the agents: environment variables set by the operator, and the job's key."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fairlead_contracts.environment import TimingEnvironment

HEARTBEATS_PER_SECOND = 100
"""The rate of heartbeats of all workers above which each worker sends fewer."""
_SILENCE_AFTER_FAILURE = 5.0


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
    leave: float = 30.0
    """Time in which an elastic job's worker must leave an epoch after another one has."""

    @property
    def silence_after_failure(self) -> float:
        """Time without a heartbeat after which a worker counts as lost once a peer has failed, when it is likely."""
        return min(self.silence, max(_SILENCE_AFTER_FAILURE, 2.5 * self.heartbeat))

    @classmethod
    def from_environment(cls, environment: TimingEnvironment, workers: int) -> Self:
        """Return the timing that the environment sets for a job of this size: many workers send fewer heartbeats."""
        slowest = environment.silence_seconds / 3
        return cls(
            max(environment.heartbeat_seconds, min(workers / HEARTBEATS_PER_SECOND, slowest)),
            environment.silence_seconds,
            environment.stop_grace_seconds,
            environment.registration_seconds,
            environment.leave_seconds,
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
