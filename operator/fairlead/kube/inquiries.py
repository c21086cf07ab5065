"""Slow facts, from the artifact store and tenants' pods, read beside the queue's workers.

Reads are bounded per namespace and in time. A reconcile never waits for them: it gets the last answer, or none, and the
resource is reconciled again when a new one arrives. A store or a pod that hangs so delays only what needs it, and what
serves keeps serving.
"""

import asyncio
import inspect
import math
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from fairlead.kube.kinds import Key

Facts = TypeVar("Facts")

_THREADS = 32


@dataclass(frozen=True)
class Question(Generic[Facts]):
    """What to read for a resource."""

    subject: object
    """What the answer depends on. The answer to a question with another subject is dropped."""
    read: Callable[[], Facts] | Callable[[], Awaitable[Facts]]
    """Reads the facts and may take long; runs in a thread, unless it is a coroutine function."""
    failed: Callable[[str], Facts]
    """Returns the facts if nothing could be read, for the reason given."""


@dataclass
class _Entry:
    subject: object
    facts: Any = None
    answered: float = -math.inf
    task: asyncio.Task[None] | None = None


class Inquiries:
    """Answers questions about resources. `answered` is called for a resource when an answer has arrived."""

    def __init__(
        self,
        answered: Callable[[Key], None],
        seconds: float,
        per_namespace: int = 4,
        source: str = "the artifact store",
    ) -> None:
        """Read for `seconds` at most, with `per_namespace` concurrent reads; one that hangs keeps its place."""
        self._answered, self._seconds, self._per_namespace, self._source = answered, seconds, per_namespace, source
        self._entries: dict[Key, _Entry] = {}
        self._places: dict[str, asyncio.Semaphore] = {}
        self._threads = ThreadPoolExecutor(_THREADS, "store")

    def latest(self, key: Key, question: Question[Facts], seconds: float, outdated: bool = False) -> Facts | None:
        """Return the latest facts about a resource; if they are older than `seconds`, read them again.

        Returns None while nothing has been read or, unless `outdated` is True, while only outdated facts are known.
        """
        entry = self._entries.get(key)
        if entry is None or entry.subject != question.subject:
            self.forget(key)
            entry = self._entries[key] = _Entry(question.subject)
        fresh = time.monotonic() - entry.answered < seconds
        if not fresh and entry.task is None:
            entry.task = asyncio.create_task(self._ask(key, entry, question))
        facts: Facts | None = entry.facts if fresh or outdated else None
        return facts

    def forget(self, key: Key) -> None:
        """Drop what is known about a resource."""
        if (entry := self._entries.pop(key, None)) and entry.task:
            entry.task.cancel()

    async def _ask(self, key: Key, entry: _Entry, question: Question[Any]) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                entry.facts = await self._read(key.namespace, question.read)
        except TimeoutError:
            entry.facts = question.failed(f"{self._source} did not answer within {self._seconds:g} s")
        except Exception as error:  # noqa: BLE001 - a task's outermost frame: what an artifact contains is not trusted
            entry.facts = question.failed(f"could not be read ({type(error).__name__})")
        entry.answered, entry.task = time.monotonic(), None
        self._answered(key)

    async def _read(self, namespace: str, read: Callable[[], Any]) -> Any:
        """Run a read in a thread. Its place is free when the thread ends, even if nobody waits for it any more."""
        places = self._places.setdefault(namespace, asyncio.Semaphore(self._per_namespace))
        if inspect.iscoroutinefunction(read):
            async with places:
                return await read()
        await places.acquire()
        reading = asyncio.get_running_loop().run_in_executor(self._threads, read)
        reading.add_done_callback(partial(_release, places))
        return await asyncio.shield(reading)


def _release(places: asyncio.Semaphore, reading: "asyncio.Future[Any]") -> None:
    places.release()
    if not reading.cancelled():
        reading.exception()  # retrieved, in case that nobody waits any more
