"""Telemetry of a device: what became of the requests, how fast, which classes, how sure, and how far from training.

A record is made of each interval, kept on the disk and sent when the network allows. It holds counts alone, and nothing
of any request.
"""

import asyncio
import json
import logging
import secrets
import shutil
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from fairlead_serving.data_plane import DataPlane
from fairlead_serving.errors import Code, ServingError

from ..words import OBSERVED
from .folder import Folder
from .forwarding import BATCH, Collector
from .spool import Spool

_log = logging.getLogger(__name__)
BOUNDS = tuple(0.00025 * 2**place for place in range(18))
"""The upper ends of the bins of latencies, in seconds: 0.25 ms to 33 s; there is one more for what is above."""
_ASK_SECONDS = 2.0
_FOLDER = "telemetry"


@dataclass(frozen=True)
class TelemetrySettings:
    """What is recorded, and where it is sent."""

    interval_seconds: float = 60.0
    """The time of a record."""
    max_bytes: int = 1 << 20
    """How many bytes the records that wait may have."""
    collector: Collector | None = None
    """Where they are sent; nowhere if None."""
    device: str = ""
    """The device's name, for the collector."""


class Requests:
    """What the HTTP process counts of requests since it was asked last: an Observer of a data plane."""

    def __init__(self) -> None:
        self._clear()

    def observe_request(self, protocol: str, code: Code, seconds: float) -> None:  # noqa: ARG002
        """Record a request."""
        self._codes[str(code)] += 1
        self._latencies[sum(seconds > bound for bound in BOUNDS)] += 1

    def observe_reply(self, facts: dict[str, Any], head: dict[str, Any]) -> None:
        """Record nothing: the model process counts by itself."""

    def take(self) -> dict[str, Any]:
        """Return the counts, and begin anew."""
        found = {"requests": dict(self._codes), "latency": self._latencies}
        self._clear()
        return found

    def _clear(self) -> None:
        self._codes: Counter[str] = Counter()
        self._latencies = [0] * (len(BOUNDS) + 1)


class Telemetry:
    """Makes records and sends them."""

    def __init__(self, folder: Folder, plane: DataPlane, requests: Requests, settings: TelemetrySettings) -> None:
        """Prepare; raise OSError."""
        self._plane, self._requests, self._settings = plane, requests, settings
        self._path = folder.path
        self._spool = Spool(folder.path / _FOLDER, settings.max_bytes)
        self._boot = secrets.token_hex(8)
        self._sending: threading.Thread | None = None

    async def run(self) -> None:
        """Make a record of each interval, and send what waits, until the task is cancelled."""
        while True:
            await asyncio.sleep(self._settings.interval_seconds)
            seen = await self._ask()
            try:
                self._spool.add(self._make_record(seen))
            except OSError as error:  # a full disk
                self._spool.dropped += 1
                _log.warning("a record cannot be kept", extra={"reason": str(error)})
            # not in the event loop's threads, for whose end the server would wait; one at a time, however slow it is
            if self._settings.collector is not None and not (self._sending and self._sending.is_alive()):
                self._sending = threading.Thread(target=self._send, args=(self._settings.collector,), daemon=True)
                self._sending.start()

    async def _ask(self) -> dict[str, Any]:
        """Return what the model process has counted."""
        seen: dict[str, Any] = {}
        try:
            for _, content in await self._plane.ask_each(OBSERVED, _ASK_SECONDS):
                seen = json.loads(content)
        except ServingError as error:
            seen = {"missing": str(error)[:200]}
        return seen

    def _make_record(self, seen: dict[str, Any]) -> dict[str, Any]:
        return {
            # both clocks: that of the device may be wrong, and the other one tells records of a start apart
            "boot": self._boot, "uptime": round(time.monotonic(), 1), "time": round(time.time(), 1),
            "seconds": self._settings.interval_seconds, "digest": self._plane.version,
            "unready": self._plane.unready, **self._requests.take(), "seen": seen,
            "free": shutil.disk_usage(self._path).free, "dropped": self._spool.dropped,
        }  # fmt: skip

    def _send(self, collector: Collector) -> None:
        """Send the oldest records first, as long as they are delivered."""
        try:
            while found := self._spool.read(BATCH):
                problem = collector.send(self._settings.device, [record for _, record in found])
                if problem is not None:
                    _log.warning("telemetry is not delivered", extra={"reason": problem, "waiting": len(found)})
                    return
                self._spool.remove([name for name, _ in found])
        except OSError as error:
            _log.warning("records cannot be read", extra={"reason": str(error)})
