"""The logs of all pods of a job, merged line by line while they are written."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fairlead.client.errors import FairleadError, NotFound, Unreachable
from fairlead.client.objects import Object
from fairlead.core import names

MAX_PODS = 128
"""The maximum number of logs that are followed at once: each is a connection."""
_POLL_SECONDS = 1.0
_QUEUE = 1000
_MAX_ATTEMPTS = 5
_ENDED = ("Succeeded", "Failed")

ReadLog = Callable[[Object, bool], Iterator[str]]
"""Yields the lines of a pod's log; the second argument is whether to follow it."""


@dataclass(frozen=True)
class LogLine:
    """A line of a log."""

    source: str
    """The pod it is from, without the job's name: `launcher`, `worker-0`."""
    text: str


def read_logs(pods: list[Object], read: ReadLog) -> Iterator[LogLine]:
    """Yield the logs of pods one after the other; a pod without a log, such as one that waits, is left out."""
    for pod in sorted(pods, key=_order):
        try:
            for text in read(pod, False):
                yield LogLine(source_of(pod), text)
        except FairleadError as error:
            if _has_started(pod):
                yield LogLine(source_of(pod), f"(no log: {error})")


def follow_logs(
    list_pods: Callable[[], list[Object]], has_ended: Callable[[], bool], read: ReadLog, *, tailed: bool = False
) -> Iterator[LogLine]:
    """Yield the lines of all pods as they are written, of those that start later too, until the job has ended.

    `tailed` is whether `read` begins with the last lines of a log instead of the first.
    """
    follower = _Follower(read, tailed)
    while True:
        try:
            ended = has_ended()
            follower.follow(list_pods())
        except Unreachable:
            ended = False
        except NotFound:
            ended = True
        yield from follower.lines(_POLL_SECONDS)
        if ended:
            break
    while follower.running:
        yield from follower.lines(_POLL_SECONDS)
    yield from follower.lines(0)


def source_of(pod: Object) -> str:
    """Return a pod's name without that of its job."""
    labels = pod["metadata"].get("labels", {})
    role, index = labels.get(names.ROLE), labels.get(names.WORKER_INDEX, "0")
    return f"{role}-{index}" if role == names.WORKER else role or str(pod["metadata"]["name"])


def _order(pod: Object) -> tuple[bool, int]:
    labels = pod["metadata"].get("labels", {})
    index = labels.get(names.WORKER_INDEX, "0")
    return labels.get(names.ROLE) == names.WORKER, int(index) if index.isdecimal() else 0


def _has_started(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") in ("Running", *_ENDED)


class _Follower:
    """A thread for each pod, and the queue in which their lines arrive."""

    def __init__(self, read: ReadLog, tailed: bool) -> None:
        self._read = read
        self._tailed = tailed
        self._lines: queue.Queue[LogLine] = queue.Queue(_QUEUE)
        self._threads: dict[str, threading.Thread] = {}
        self._notes: list[LogLine] = []
        self._full = False

    @property
    def running(self) -> bool:
        """Return whether any log is still being read."""
        return any(thread.is_alive() for thread in self._threads.values())

    def follow(self, pods: list[Object]) -> None:
        """Begin to follow the pods that have started and are not followed yet."""
        for pod in sorted(pods, key=_order):
            uid = pod["metadata"]["uid"]
            if uid in self._threads or not _has_started(pod):
                continue
            if sum(thread.is_alive() for thread in self._threads.values()) >= MAX_PODS:
                if not self._full:
                    self._full = True
                    text = f"(not followed, nor are further pods: {MAX_PODS} already are)"
                    self._notes.append(LogLine(source_of(pod), text))
                return
            thread = threading.Thread(target=self._copy, args=(pod,), daemon=True, name=f"log-{source_of(pod)}")
            self._threads[uid] = thread
            thread.start()

    def lines(self, seconds: float) -> Iterator[LogLine]:
        """Yield the lines that arrive within some seconds, and at least those that have already arrived."""
        while self._notes:
            yield self._notes.pop(0)
        end = time.monotonic() + seconds
        while True:
            try:
                yield self._lines.get(timeout=max(0.001, end - time.monotonic()))
            except queue.Empty:
                return
            if seconds and time.monotonic() >= end:
                return

    def _copy(self, pod: Object) -> None:
        """Copy a pod's log; a connection that drops is made again, from where it ended."""
        source, copied = source_of(pod), 0
        for attempt in range(_MAX_ATTEMPTS):
            try:
                for number, text in enumerate(self._read(pod, True)):
                    if number >= copied:
                        copied += 1
                        self._lines.put(LogLine(source, text))
                return
            except NotFound:
                return  # deleted
            except FairleadError as error:
                if attempt == _MAX_ATTEMPTS - 1:
                    self._lines.put(LogLine(source, f"(log ends here: {error})"))
                elif self._tailed and copied:  # which of its last lines are new cannot be counted
                    copied = 0
                    self._lines.put(LogLine(source, f"(connection lost, lines may be repeated or missing: {error})"))
                time.sleep(_POLL_SECONDS)
