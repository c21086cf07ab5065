"""The launchers' progress reports, read and published at bounded rates over all jobs.

Runs independently of the queue's workers, so that a launcher that does not respond delays no reconcile. A launcher runs
in a tenant's pod: its response is limited in size and time, not unpacked, and redirects are not followed; invalid
reports are ignored.
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
"""How often to check for launchers that are due."""
_MAX_CONCURRENT = 32
"""The maximum number of concurrent requests."""


@dataclass
class _Followed:
    """A launcher that is polled."""

    uid: str
    address: str
    due: float
    read: Progress | None = None
    """The last progress that was read."""
    published: Progress | None = None
    """The progress that planners see."""


class Reports:
    """Polls the launchers of running jobs. `publish` is called for each job whose published progress changed."""

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
        """The jobs with unpublished progress, oldest first."""
        self._changed = asyncio.Event()

    def follow(self, key: Key, uid: str, address: str) -> None:
        """Start polling a job's launcher; does nothing if it is already polled."""
        known = self._followed.get(key)
        if known is None or (known.uid, known.address) != (uid, address):
            # a launcher has no progress yet when its pod has just started
            self._followed[key] = _Followed(uid, address, due=time.monotonic() + self._every)

    def drop(self, key: Key) -> None:
        """Stop polling a job's launcher."""
        self._followed.pop(key, None)
        self._fresh.pop(key, None)

    def latest(self, key: Key, uid: str) -> Progress | None:
        """Return the published progress of the job with this uid; None if there is none yet."""
        followed = self._followed.get(key)
        return followed.published if followed and followed.uid == uid else None

    async def run(self) -> None:
        """Read and publish until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read_all(group))
            group.create_task(self._publish_all())

    async def _read_all(self, group: asyncio.TaskGroup) -> None:
        """Poll the launchers in turn, each at most every `every_seconds`."""
        slots = asyncio.Semaphore(_MAX_CONCURRENT)
        while True:
            await asyncio.sleep(_IDLE_SECONDS)
            for key, followed in list(self._followed.items()):
                if self._followed.get(key) is not followed or followed.due > time.monotonic():
                    continue
                followed.due = math.inf
                await slots.acquire()
                group.create_task(self._read(key, followed)).add_done_callback(lambda _: slots.release())
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
        url = f"http://{url_host(followed.address)}:{self._port}{STATUS_PATH}"
        try:
            async with self._http.get(
                url,
                timeout=_TIMEOUT,
                allow_redirects=False,
                # a few compressed bytes can unpack to a thousand times as many
                auto_decompress=False,
                headers={"Accept-Encoding": "identity"},
            ) as response:
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
    """Return the progress in a launcher's status, None if it has none yet; raises ValueError if it is invalid."""
    progress = LauncherStatus.parse_json(body, STATUS_PATH).progress
    return Progress.model_validate(progress.to_json()) if progress else None


def url_host(address: str) -> str:
    """Return an IP address as the host of a URL."""
    return f"[{address}]" if ":" in address else address


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    if response.status != 200:
        raise ValueError(f"got status {response.status}, expected 200")
    limit, body = LauncherStatus.max_bytes, b""
    while len(body) <= limit and (chunk := await response.content.read(limit + 1 - len(body))):
        body += chunk
    if len(body) > limit:
        raise ValueError(f"got more than {limit} bytes")
    return body
