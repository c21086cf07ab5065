"""The launchers' progress reports: read at a bounded rate over all jobs, passed on at a bounded rate over all jobs.

Runs beside the workers of the queue, so a launcher that does not answer delays nobody. A launcher is a tenant's pod:
what it sends is bounded in size and time, redirects are not followed, and what does not parse is no progress.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
from fairlead_contracts.environment import LAUNCHER_PORT
from fairlead_contracts.launcher_status import PATH as STATUS_PATH
from fairlead_contracts.launcher_status import LauncherStatus

from fairlead.api.training_job import Progress
from fairlead.kube.kinds import Key

_log = logging.getLogger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=2)
_IDLE_SECONDS = 0.1
"""How often to look for launchers that are due."""
_AT_ONCE = 32
"""Requests under way at most: launchers that hang hold no more than these."""


@dataclass
class _Followed:
    """A launcher that is asked again and again."""

    uid: str
    address: str
    due: float
    read: Progress | None = None
    """What it said last."""
    published: Progress | None = None
    """What planners see."""


class Reports:
    """Follows the launchers of running jobs. `publish` hears of each job whose progress planners see changed."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        publish: Callable[[Key], None],
        every_seconds: float,
        reads_per_second: float,
        writes_per_second: float,
        port: int = LAUNCHER_PORT,
    ) -> None:
        self._http, self._publish, self._port = http, publish, port
        self._every, self._read_pause, self._write_pause = every_seconds, 1 / reads_per_second, 1 / writes_per_second
        self._followed: dict[Key, _Followed] = {}
        self._fresh: dict[Key, None] = {}
        """The jobs whose report is newer than what was published, the oldest first."""
        self._changed = asyncio.Event()

    def follow(self, key: Key, uid: str, address: str) -> None:
        """Read a job's launcher from now on; saying so again changes nothing."""
        known = self._followed.get(key)
        if known is None or (known.uid, known.address) != (uid, address):
            # a launcher has nothing to say yet when its pod has just started
            self._followed[key] = _Followed(uid, address, due=time.monotonic() + self._every)

    def drop(self, key: Key) -> None:
        """Stop reading a job's launcher."""
        self._followed.pop(key, None)
        self._fresh.pop(key, None)

    def latest(self, key: Key, uid: str) -> Progress | None:
        """Return the published progress of the job with this uid; None: nothing was reported yet."""
        followed = self._followed.get(key)
        return followed.published if followed and followed.uid == uid else None

    async def run(self) -> None:
        """Read and publish until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read_all(group))
            group.create_task(self._publish_all())

    async def _read_all(self, group: asyncio.TaskGroup) -> None:
        """Ask one launcher after the other, round and round, each at most every `every_seconds`."""
        places = asyncio.Semaphore(_AT_ONCE)
        while True:
            await asyncio.sleep(_IDLE_SECONDS)
            for key, followed in list(self._followed.items()):
                if self._followed.get(key) is not followed or followed.due > time.monotonic():
                    continue
                followed.due = math.inf
                await places.acquire()
                group.create_task(self._read(key, followed)).add_done_callback(lambda _: places.release())
                await asyncio.sleep(self._read_pause)

    async def _publish_all(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._fresh:
                key = next(iter(self._fresh))
                del self._fresh[key]
                if followed := self._followed.get(key):
                    followed.published = followed.read
                    self._publish(key)
                    await asyncio.sleep(self._write_pause)

    async def _read(self, key: Key, followed: _Followed) -> None:
        url = f"http://{in_url(followed.address)}:{self._port}{STATUS_PATH}"
        try:
            async with self._http.get(url, timeout=_TIMEOUT, allow_redirects=False) as response:
                progress = parse_report(await _read_bounded(response))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            _log.debug("%s %s/%s: no progress from %s: %s", *key, url, error)
            return
        finally:
            followed.due = time.monotonic() + self._every
        if progress and progress != followed.read:
            followed.read = progress
            self._fresh[key] = None
            self._changed.set()


def parse_report(body: bytes) -> Progress | None:
    """Return the progress in a launcher's status, None where it has none yet; raises ValueError for anything else."""
    progress = LauncherStatus.parse_json(body, STATUS_PATH).progress
    return Progress.model_validate(progress.to_json()) if progress else None


def in_url(address: str) -> str:
    """Return an IP address as a URL's host."""
    return f"[{address}]" if ":" in address else address


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    if response.status != 200:
        raise ValueError(f"got status {response.status}, expected 200")
    most, body = LauncherStatus.max_bytes, b""
    while len(body) <= most and (more := await response.content.read(most + 1 - len(body))):
        body += more
    if len(body) > most:
        raise ValueError(f"got more than {most} bytes")
    return body
