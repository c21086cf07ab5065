"""What the operator tells the launcher and the agents: environment variables, parsed once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PORT = 7070


class SettingsError(Exception):
    """Name the variable, its value and what was expected."""


@dataclass(frozen=True)
class Timing:
    """How long things may take, in seconds."""

    heartbeat: float
    """Between two signs of life of an agent."""
    silence: float
    """Without a sign of life before the other side counts as lost."""
    stop_grace: float
    """Between SIGTERM and SIGKILL."""


@dataclass(frozen=True)
class JobSettings:
    """What launcher and agents both know."""

    job: str
    attempt: int
    key_file: Path
    termination_log: Path
    address: str
    workers: int
    slots: int
    backend: str
    model_uri: str | None
    model_version: str | None
    timing: Timing


@dataclass(frozen=True)
class LauncherSettings(JobSettings):
    """The launcher's settings."""

    bind_address: str


@dataclass(frozen=True)
class AgentSettings(JobSettings):
    """A worker agent's settings."""

    launcher_host: str
    launcher_port: int
    worker: int
    dataset_uri: str | None
    dataset_digest: str | None


def read_launcher_settings(environment: Mapping[str, str]) -> LauncherSettings:
    """Read the launcher's settings; raise SettingsError for a missing or malformed one."""
    reader = _Reader(environment)
    return LauncherSettings(**_read_job(reader), bind_address=reader.optional("FAIRLEAD_BIND_ADDRESS") or "0.0.0.0")


def read_agent_settings(environment: Mapping[str, str]) -> AgentSettings:
    """Read an agent's settings; raise SettingsError for a missing or malformed one."""
    reader = _Reader(environment)
    launcher = reader.text("FAIRLEAD_LAUNCHER")
    host, _, port = launcher.rpartition(":")
    if not host or not port.isdecimal():
        raise SettingsError(f"FAIRLEAD_LAUNCHER: got {launcher!r}, expected host:port")
    job = _read_job(reader)
    worker = reader.integer("FAIRLEAD_WORKER_INDEX", 0)
    if worker >= job["workers"]:
        raise SettingsError(f"FAIRLEAD_WORKER_INDEX: got {worker}, expected below FAIRLEAD_WORKERS, {job['workers']}")
    return AgentSettings(
        **job,
        launcher_host=host,
        launcher_port=int(port),
        worker=worker,
        dataset_uri=reader.optional("FAIRLEAD_DATASET_URI"),
        dataset_digest=reader.optional("FAIRLEAD_DATASET_DIGEST"),
    )


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


def _read_job(reader: "_Reader") -> dict[str, Any]:
    return {
        "job": reader.text("FAIRLEAD_JOB"),
        "attempt": reader.integer("FAIRLEAD_ATTEMPT", 0),
        "key_file": Path(reader.text("FAIRLEAD_KEY_FILE")),
        "termination_log": Path(reader.text("FAIRLEAD_TERMINATION_LOG")),
        "address": reader.text("POD_IP"),
        "workers": reader.integer("FAIRLEAD_WORKERS", 1),
        "slots": reader.integer("FAIRLEAD_SLOTS", 1),
        "backend": reader.text("FAIRLEAD_BACKEND"),
        "model_uri": reader.optional("FAIRLEAD_MODEL_URI"),
        "model_version": reader.optional("FAIRLEAD_MODEL_VERSION"),
        "timing": Timing(
            heartbeat=reader.seconds("FAIRLEAD_HEARTBEAT_SECONDS", 1.0),
            silence=reader.seconds("FAIRLEAD_SILENCE_SECONDS", 15.0),
            stop_grace=reader.seconds("FAIRLEAD_STOP_GRACE_SECONDS", 5.0),
        ),
    }


@dataclass(frozen=True)
class _Reader:
    """Typed access to environment variables."""

    environment: Mapping[str, str]

    def optional(self, name: str) -> str | None:
        return self.environment.get(name) or None

    def text(self, name: str) -> str:
        value = self.optional(name)
        if value is None:
            raise SettingsError(f"{name}: missing, expected a value")
        return value

    def integer(self, name: str, least: int) -> int:
        value = self.text(name)
        if not value.isdecimal() or int(value) < least:
            raise SettingsError(f"{name}: got {value!r}, expected an integer of at least {least}")
        return int(value)

    def seconds(self, name: str, default: float) -> float:
        value = self.optional(name)
        try:
            seconds = default if value is None else float(value)
        except ValueError:
            seconds = 0
        if not 0 < seconds < 86400:
            raise SettingsError(f"{name}: got {value!r}, expected a number of seconds above 0")
        return seconds
