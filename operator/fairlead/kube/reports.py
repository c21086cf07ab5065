"""The launchers' reports: who has registered, and the progress, read and published at bounded rates over all jobs.

Runs independently of the queue's workers, so that a launcher that does not respond delays no reconcile. Launchers whose
workers register are polled at a rate of their own, so that a short job need not wait for the progress of others. A
launcher runs in a tenant's pod: its response is limited in size and time, not unpacked, and redirects are not followed;
invalid reports are ignored, and count as silence.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import aiohttp
from fairlead_contracts.environment import LAUNCHER_PORT
from fairlead_contracts.launcher_status import PATH as STATUS_PATH
from fairlead_contracts.launcher_status import LauncherStatus

from fairlead.api.tracking import MlflowRun
from fairlead.api.training_job_status import ElasticStatus, Progress
from fairlead.core.training_job.observed import Launcher, LauncherReport, WorkerDelay
from fairlead.core.training_job.registration import MISSED_SECONDS
from fairlead.kube.kinds import Key

_log = logging.getLogger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=2)
_IDLE_SECONDS = 0.1
"""How often to check for launchers that are due."""
_MAX_CONCURRENT = 32
"""The maximum number of concurrent requests of each rate."""
_FIRST_SECONDS = 0.2
"""How soon a launcher is asked after its pod has started; then at intervals of a quarter of the time since."""


@dataclass
class _Followed:
    """A launcher that is polled."""

    uid: str
    address: str
    since: float
    due: float
    registering: bool
    """Whether the job waits for the launcher's workers to register."""
    read: LauncherReport | None = None
    """The last report that was read."""
    published: LauncherReport | None = None
    """The report that planners see."""
    silent_since: datetime | None = None
    missed: bool = False
    """Whether planners were asked to look because it has been silent for long."""

    @property
    def urgent(self) -> bool:
        """Return whether the job waits for a report that all workers have registered."""
        return self.registering and not (self.published and self.published.complete)


@dataclass(frozen=True)
class Rates:
    """How often launchers are asked, and how often what they say is published, over all jobs."""

    every_seconds: float
    """The interval in which each launcher is asked."""
    reads_per_second: float
    registrations_per_second: float
    """Reads from launchers whose workers have not all registered."""
    writes_per_second: float


class Reports:
    """Polls the launchers of jobs. `publish` is called for each job whose published report changed."""

    def __init__(
        self, http: aiohttp.ClientSession, publish: Callable[[Key], None], rates: Rates, port: int = LAUNCHER_PORT
    ) -> None:
        self._http, self._publish, self._rates, self._port = http, publish, rates, port
        self._followed: dict[Key, _Followed] = {}
        self._fresh: dict[Key, None] = {}
        """The jobs with unpublished reports, oldest first."""
        self._changed = asyncio.Event()

    def follow(self, key: Key, uid: str, address: str, registering: bool) -> None:
        """Poll a job's launcher, the pod with this uid; `registering` is whether the job waits for its workers."""
        known = self._followed.get(key)
        if known and (known.uid, known.address) == (uid, address):
            known.registering = registering
            return
        now, wait = time.monotonic(), self._rates.every_seconds
        # while registering it is asked soon; there is no progress yet when a pod has just started
        due = now + (min(_FIRST_SECONDS, wait) if registering else wait)
        self._followed[key] = _Followed(uid, address, now, due, registering)

    def drop(self, key: Key) -> None:
        """Stop polling a job's launcher."""
        self._followed.pop(key, None)
        self._fresh.pop(key, None)

    def latest(self, key: Key, uid: str) -> Launcher:
        """Return what is known of the launcher with this uid: the published report, the last read's time and step."""
        followed = self._followed.get(key)
        if followed is None or followed.uid != uid:
            return Launcher()
        last, published = followed.read, followed.published
        if last and published:
            published = replace(published, read=last.read, step=last.progress.step if last.progress else None)
        return Launcher(published, followed.silent_since)

    async def run(self) -> None:
        """Read and publish until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read_all(group, True, 1 / self._rates.registrations_per_second))
            group.create_task(self._read_all(group, False, 1 / self._rates.reads_per_second))
            group.create_task(self._publish_all())

    async def _read_all(self, group: asyncio.TaskGroup, urgent: bool, pause: float) -> None:
        """Poll the launchers that are due, either the urgent ones or the others, in turn."""
        slots = asyncio.Semaphore(_MAX_CONCURRENT)
        while True:
            await asyncio.sleep(_IDLE_SECONDS)
            for key, followed in list(self._followed.items()):
                if followed.due > time.monotonic() or followed.urgent != urgent:
                    continue
                if self._followed.get(key) is not followed:
                    continue
                followed.due = math.inf
                await slots.acquire()
                group.create_task(self._read(key, followed)).add_done_callback(lambda _: slots.release())
                await asyncio.sleep(pause)

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
                    await asyncio.sleep(1 / self._rates.writes_per_second)

    async def _read(self, key: Key, followed: _Followed) -> None:
        url = f"http://{url_host(followed.address)}:{self._port}{STATUS_PATH}"
        try:
            content = await get_bounded(self._http, url, _TIMEOUT, LauncherStatus.max_bytes)
            report: LauncherReport | None = parse_report(content)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            _log.debug("%s %s/%s: no report from %s: %s", *key, url, error)
            report = None
        followed.due = time.monotonic() + self._interval(followed)
        if self._followed.get(key) is not followed:
            return  # another pod is the launcher by now
        if report is None:
            self._note_silence(key, followed)
        else:
            self._note_report(key, followed, replace(report, read=datetime.now(UTC)))

    def _note_silence(self, key: Key, followed: _Followed) -> None:
        now = datetime.now(UTC)
        if followed.silent_since is None:
            followed.silent_since = now
            if followed.registering and followed.read:
                self._announce(key)
        elif followed.read and not followed.missed and (now - followed.silent_since).total_seconds() >= MISSED_SECONDS:
            followed.missed = True
            self._announce(key)

    def _note_report(self, key: Key, followed: _Followed, report: LauncherReport) -> None:
        unknown = followed.silent_since is not None or report != followed.read
        followed.read, followed.silent_since, followed.missed = report, None, False
        if followed.urgent and report.complete:
            # once an attempt: the rate of reads bounds it
            followed.published = report
            self._fresh.pop(key, None)
            self._publish(key)
        elif unknown:
            self._announce(key)

    def _announce(self, key: Key) -> None:
        """Publish a report in its turn."""
        self._fresh[key] = None
        self._changed.set()

    def _interval(self, followed: _Followed) -> float:
        """Return the seconds to the next read; the longer the workers take to register, the longer it is."""
        if not followed.urgent:
            return self._rates.every_seconds
        return min(self._rates.every_seconds, max(_FIRST_SECONDS, (time.monotonic() - followed.since) / 4))


def parse_report(body: bytes) -> LauncherReport:
    """Return what planners read of a launcher's status; raises ValueError if it is invalid."""
    status = LauncherStatus.parse_json(body, STATUS_PATH)
    workers, waiting, progress = status.workers, status.waiting, status.progress
    return LauncherReport(
        # launchers of earlier versions report no number, but the phase has always meant it
        registered=workers.desired if status.phase in ("Running", "Succeeded") else workers.registered,
        desired=workers.desired,
        missing=waiting.workers if waiting else (),
        until=waiting.until if waiting else None,
        delays=tuple(WorkerDelay(delay.worker, delay.activity) for delay in status.delays),
        progress=Progress.model_validate(progress.to_json()) if progress else None,
        elastic=ElasticStatus.model_validate(status.elastic.to_json()) if status.elastic else None,
        tracking=MlflowRun.model_validate(status.tracking.to_json()) if status.tracking else None,
    )


def url_host(address: str) -> str:
    """Return an IP address as the host of a URL."""
    return f"[{address}]" if ":" in address else address


async def get_bounded(http: aiohttp.ClientSession, url: str, time_limit: aiohttp.ClientTimeout, limit: int) -> bytes:
    """Return what a tenant's pod says; raises ValueError if the status is not 200 or there are more than `limit` bytes.

    Redirects are not followed, and nothing is unpacked: a few compressed bytes can be a thousand times as many.
    """
    async with http.get(
        url, timeout=time_limit, allow_redirects=False, auto_decompress=False, headers={"Accept-Encoding": "identity"}
    ) as response:
        if response.status != 200:
            raise ValueError(f"got status {response.status}, expected 200")
        return await read_bounded(response, limit)


async def read_bounded(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return a response's body; raises ValueError if there are more than `limit` bytes."""
    body = b""
    while len(body) <= limit and (chunk := await response.content.read(limit + 1 - len(body))):
        body += chunk
    if len(body) > limit:
        raise ValueError(f"got more than {limit} bytes")
    return body
