"""The agents' requests, checked and turned into events of a run. Errors name field, value and what was expected."""

from typing import Any, TypeVar

from fairlead_contracts.base import to_line
from fairlead_contracts.errors import ContractError
from fairlead_contracts.launcher_status import MAX_DELAY
from fairlead_contracts.parameters import salvage_parameters
from fairlead_contracts.progress import ProgressReport
from fairlead_contracts.termination import Failure, PublishedModel

from .backends.base import Member
from .events import Beat, Delayed, Finished, Left, Registered
from .membership import MemberId
from .state import Rejected, Run

_MAX_EPOCH = (1 << 53) - 1
_Part = TypeVar("_Part", Failure, PublishedModel)


def read_registration(run: Run, message: dict[str, Any]) -> Registered:
    """Return the event of a registration; raise Rejected, or KeyError for a missing field."""
    id_ = _read_id(run, message)
    if message.get("slots") != run.slots:
        raise Rejected(f"slots: got {message.get('slots')!r}, expected {run.slots}")
    port = _read_number(message, "port", 65535, 0)
    address, interface = str(message["address"]), str(message["interface"])
    peer = str(message.get("peer"))
    return Registered(id_, Member(id_.worker, address, interface, run.slots, peer, port, id_.instance))


def read_heartbeat(run: Run, message: dict[str, Any]) -> Beat:
    """Return the event of a heartbeat; raise Rejected, or KeyError for a missing field."""
    progress = ProgressReport.salvage(message.get("progress"))
    leaving, ended = message.get("leaving") is True, message.get("ended") is True
    epoch = None if message.get("epoch") is None else _read_number(message, "epoch", _MAX_EPOCH)
    parameters = salvage_parameters(message.get("parameters"))
    activity = _read_activity(message)
    id_ = _read_id(run, message)
    return Beat(id_, progress, leaving=leaving, ended=ended, epoch=epoch, parameters=parameters, activity=activity)


def read_delay(run: Run, message: dict[str, Any]) -> Delayed:
    """Return the event of what delays a worker before it registers; raise Rejected, or KeyError."""
    activity = _read_activity(message)
    if activity is None:
        raise Rejected(f"activity: got {str(message.get('activity'))[:20]}, expected a text")
    return Delayed(_read_id(run, message), activity)


def read_left(run: Run, message: dict[str, Any]) -> Left:
    """Return the event of processes that were stopped or have failed; raise Rejected, or KeyError."""
    return Left(
        _read_id(run, message),
        epoch=_read_number(message, "epoch", _MAX_EPOCH),
        port=_read_number(message, "port", 65535),
        failure=_read(Failure, message, "failure"),
        progress=ProgressReport.salvage(message.get("progress")),
    )


def read_end(run: Run, message: dict[str, Any]) -> Finished:
    """Return the event of a worker's end; raise Rejected, or KeyError for a missing field."""
    return Finished(
        _read_id(run, message),
        codes=message.get("exitCodes"),
        failure=_read(Failure, message, "failure"),
        stopped=str(message["stopped"]) if "stopped" in message else None,
        model=_read(PublishedModel, message, "model"),
        progress=ProgressReport.salvage(message.get("progress")),
        parameters=salvage_parameters(message.get("parameters")),
    )


def _read_id(run: Run, message: dict[str, Any]) -> MemberId:
    worker = message.get("worker")
    if type(worker) is not int or not 0 <= worker < run.bounds.most:
        raise Rejected(f"worker: got {worker!r}, expected 0 to {run.bounds.most - 1}")
    if message.get("attempt") != run.attempt:
        raise Rejected(f"attempt: got {message.get('attempt')!r}, expected {run.attempt}")
    return MemberId(worker, str(message["instance"]))


def _read_activity(message: dict[str, Any]) -> str | None:
    activity = message.get("activity")
    return to_line(activity, MAX_DELAY) if isinstance(activity, str) else None


def _read_number(message: dict[str, Any], key: str, most: int, default: int | None = None) -> int:
    number = message[key] if default is None else message.get(key, default)
    if type(number) is not int or not 0 <= number <= most:
        raise Rejected(f"{key}: got {str(number)[:20]!r}, expected 0 to {most}")
    return number


def _read(kind: type[_Part], message: dict[str, Any], key: str) -> _Part | None:
    try:
        return None if message.get(key) is None else kind.parse(message[key], key)
    except ContractError as error:
        raise Rejected(str(error)) from None
