"""What is said at the end: failures, and the termination message that the operator reads."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

LIMIT = 4096
"""Bytes that Kubernetes keeps of a termination message."""
STOPPED_CODE = 143
STOPPED = {"stopped": True}
REASONS = ("Exited", "Killed", "NotStarted", "DatasetRefused", "ModelRefused", "LostWorker")


@dataclass(frozen=True)
class Failure:
    """Why a job failed: which worker, which rank (None before one started), how, and its last words."""

    worker: int
    rank: int | None
    exit_code: int | None
    signal: int | None
    reason: str
    log_tail: str

    def to_json(self) -> dict[str, Any]:
        """Return the failure in the words of the contract."""
        return {
            "worker": self.worker,
            "rank": self.rank,
            "exitCode": self.exit_code,
            "signal": self.signal,
            "reason": self.reason,
            "logTail": self.log_tail,
        }

    def __str__(self) -> str:
        return (
            f"worker={self.worker} rank={self.rank} reason={self.reason} exitCode={self.exit_code} signal={self.signal}"
        )


def parse_failure(document: Any) -> Failure:
    """Read a failure that an agent sent; raise ValueError when it is none."""
    if (
        not isinstance(document, dict)
        or document.get("reason") not in REASONS
        or type(document.get("worker")) is not int
    ):
        raise ValueError(f"got {document!r:.200}, expected a failure with worker and reason")
    numbers = {key: document.get(key) for key in ("rank", "exitCode", "signal")}
    for key, value in numbers.items():
        if value is not None and type(value) is not int:
            raise ValueError(f"{key}: got {value!r:.200}, expected an integer or null")
    return Failure(
        document["worker"],
        numbers["rank"],
        numbers["exitCode"],
        numbers["signal"],
        document["reason"],
        str(document.get("logTail") or ""),
    )


def failure_message(failure: Failure) -> dict[str, Any]:
    """Build the message of a failure, its log tail cut from the front until everything fits."""
    message = {"failure": failure.to_json()}
    excess = len(_encode(message)) - LIMIT
    while excess > 0 and failure.log_tail:
        # A character costs up to six bytes as JSON; cutting by what is too much ends in a few rounds, never too early.
        kept = failure.log_tail[max(excess // 6, 1) :]
        failure = replace(failure, log_tail=kept)
        message = {"failure": failure.to_json()}
        excess = len(_encode(message)) - LIMIT
    return message


def success_message(model: dict[str, Any] | None, progress: dict[str, Any] | None) -> dict[str, Any]:
    """Build the message of a success; progress gives way when it would not fit."""
    message = {"model": model, "progress": progress}
    return message if len(_encode(message)) <= LIMIT else {"model": model, "progress": None}


def write_message(file: Path, message: dict[str, Any]) -> None:
    """Write the termination message."""
    # Kubernetes mounts this very file into the container: it is written in place, a rename would not reach it.
    file.write_bytes(_encode(message))


def _encode(message: dict[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
