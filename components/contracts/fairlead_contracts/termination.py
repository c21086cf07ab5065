"""Termination reports, which containers write to their termination log and the operator reads from the pod's status.

The kubelet keeps 4,096 bytes per container and 12 KiB per pod, divided equally among its containers. Writers shorten
the least important fields until the report fits, so that readers always get complete JSON.
"""

import json
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer
from pydantic_core import from_json

from .base import DIGEST, PRINTABLE, URI, Contract
from .environment import MAX_SLOTS, MAX_WORKERS
from .errors import ContractError
from .progress import ProgressReport
from .tracking import Tracked

LIMIT, _POD_LIMIT = 4096, 12288
"""Bytes that the kubelet keeps per container and per pod."""
_MAX_AT = 128
STOPPED_CODE = 143
"""Exit code of an agent that was stopped because another one failed."""
Reason = Literal[
    "Exited",
    "Killed",
    "NotStarted",
    "InvalidDataset",
    "InvalidModel",
    "StoreUnavailable",
    "LostWorker",
    "NotRegistered",
    "LostLauncher",
]


def _keep(part: slice) -> BeforeValidator:
    def cut(text: object) -> object:
        # File names may contain lone surrogates, which UTF-8 cannot encode.
        return text[part].encode("utf-8", "replace").decode() if isinstance(text, str) else text

    return BeforeValidator(cut)


class Failure(Contract):
    """Why a job failed: which worker, and how."""

    max_bytes: ClassVar[int] = LIMIT

    worker: int | None = Field(ge=0, lt=MAX_WORKERS)
    """The worker's index; None if no worker is to blame."""
    rank: int | None = Field(None, ge=0, lt=MAX_WORKERS * MAX_SLOTS)
    """The process; None before one started, or for a lost worker."""
    exit_code: int | None = Field(None, ge=0, le=255)
    """Its exit code, 128 + signal when it was killed; None for a lost worker."""
    signal: int | None = Field(None, ge=1, le=64)
    """The signal that killed it."""
    reason: Reason
    """How it failed."""
    log_tail: Annotated[str, _keep(slice(-LIMIT, None))] = ""
    """The last lines of its log; a longer text is cut at its start."""

    @property
    def signal_name(self) -> str:
        """Return the name of the signal that killed it, such as SIGKILL."""
        known = {each.value: each.name for each in signal.Signals}
        return known.get(self.signal or 0, f"signal {self.signal}")

    def __str__(self) -> str:
        return (
            f"worker={self.worker} rank={self.rank} reason={self.reason} exitCode={self.exit_code} signal={self.signal}"
        )


class PublishedModel(Contract):
    """The model that a job published."""

    uri: str = Field(max_length=2048, pattern=URI)
    """The URI of the model artifact."""
    digest: str = Field(pattern=DIGEST)
    """The digest of the artifact's manifest."""
    version: str | None = Field(None, max_length=253, pattern=PRINTABLE)
    """The name of this run's version."""


class GraphFailure(Contract):
    """Why a graph server cannot serve its graph."""

    reason: Literal["InvalidGraph"] = "InvalidGraph"
    """Distinguishes it from a job's failure."""
    at: Annotated[str, _keep(slice(_MAX_AT))]
    """The field or node."""
    message: Annotated[str, _keep(slice(LIMIT))]
    """The problem; a longer text is cut at its end."""


class _Report(Contract):
    max_bytes: ClassVar[int] = LIMIT

    schema_: Literal["fairlead.dev/termination-report/v1"] = Field(
        "fairlead.dev/termination-report/v1", alias="schema", exclude=True
    )


class FailureReport(_Report):
    """The failure of the agent that wrote it, or, from the launcher, the first failure of the job."""

    failure: Failure


class SuccessReport(_Report):
    """A launcher's report of a job that succeeded."""

    model: PublishedModel | None = None
    """The published model; None if rank 0 saved no model."""
    progress: ProgressReport | None = None
    """The last progress; omitted if the report would be too long."""
    tracking: Tracked | None = None
    """The record of the job in MLflow."""

    @model_serializer(mode="wrap")
    def _drop_no_tracking(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in serialize(self).items() if key != "tracking" or value is not None}


class StoppedReport(_Report):
    """The report of an agent or launcher that was stopped."""

    stopped: Literal[True] = True


class GraphFailureReport(_Report):
    """A graph server's report."""

    failure: GraphFailure


Report = FailureReport | SuccessReport | StoppedReport | GraphFailureReport


@dataclass(frozen=True)
class Malformed:
    """A report that does not follow the contract."""

    problem: str
    """The field, its value and what was expected."""


def limit_for(containers: int) -> int:
    """Return the maximum report size for each container of a pod, with room for one injected sidecar."""
    return min(LIMIT, _POD_LIMIT // (containers + 1))


def write_report(file: Path, report: Report, limit: int = LIMIT) -> None:
    """Write a report of at most `limit` bytes; raise OSError."""
    # The kubelet mounts this file into the container, so it must be written in place: it would not see a renamed file.
    file.write_bytes(encode_report(report, limit))


def encode_report(report: Report, limit: int = LIMIT) -> bytes:
    """Return the report as JSON of at most `limit` bytes: progress, log and message are shortened, not the cause."""
    if isinstance(report, SuccessReport):
        content = _encode(report)
        return content if len(content) <= limit else _encode(report.model_copy(update={"progress": None}))
    if isinstance(report, FailureReport):
        failure = report.failure
        return _fit(
            failure.log_tail, lambda text, count: text[count:], lambda text: _with(report, log_tail=text), limit
        )
    if isinstance(report, GraphFailureReport):
        # The message contains the location too; at six bytes a character, it may need half of a small report.
        short, message = _with(report, at=report.failure.at[: limit // 12]), report.failure.message
        return _fit(message, lambda text, count: text[:-count], lambda text: _with(short, message=text), limit)
    return _encode(report)


def read_report(text: str) -> Report | Malformed | None:
    """Parse a termination message; return None if it is not a report, such as the end of a log."""
    try:
        document = from_json(text.encode("utf-8", "replace"))
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    try:
        if isinstance(failure := document.get("failure"), dict):
            graph = failure.get("reason") == "InvalidGraph"
            return (GraphFailureReport if graph else FailureReport).parse_json(text, _AT)
        if "failure" in document:
            return FailureReport.parse_json(text, _AT)
        if "stopped" in document:
            return StoppedReport.parse_json(text, _AT)
        return SuccessReport.parse_json(text, _AT) if "model" in document else None
    except ContractError as error:
        return Malformed(str(error))


_AT = "termination report"


def _fit(
    text: str, cut: Callable[[str, int], str], build: Callable[[str], FailureReport | GraphFailureReport], limit: int
) -> bytes:
    content = _encode(build(text))
    while (excess := len(content) - limit) > 0 and text:
        # A character needs up to six bytes in JSON, so this never cuts too much and ends after a few rounds.
        text = cut(text, max(excess // 6, 1))
        content = _encode(build(text))
    return content


def _with(report: FailureReport | GraphFailureReport, **changes: str) -> FailureReport | GraphFailureReport:
    return report.model_copy(update={"failure": report.failure.model_copy(update=changes)})


def _encode(report: Report) -> bytes:
    return json.dumps(report.to_json(), ensure_ascii=False, separators=(",", ":")).encode()
