"""Reads of the artifact store, in threads beside the queue's workers, bounded per namespace and in time.

A reconcile never waits for the store: it gets the last answer, or none, and the resource is reconciled again when a new
answer arrives. A store that hangs so delays nothing but the resources that need it, and what serves keeps serving.
"""

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from fairlead.kube.kinds import Key

Facts = TypeVar("Facts")

_THREADS = 32
_PER_NAMESPACE = 4
"""The maximum number of concurrent reads for a namespace. A read that hangs keeps its place until it ends."""


@dataclass(frozen=True)
class Question(Generic[Facts]):
    """What to read for a resource."""

    subject: object
    """What the answer depends on. The answer to a question with another subject is dropped."""
    read: Callable[[], Facts]
    """Reads the facts; runs in a thread and may take long."""
    failed: Callable[[str], Facts]
    """Returns the facts if nothing could be read, for the reason given."""


@dataclass
class _Entry:
    subject: object
    facts: Any = None
    answered: float = -math.inf
    task: asyncio.Task[None] | None = None


class StoreReader:
    """Answers questions about resources. `answered` is called for a resource when an answer has arrived."""

    def __init__(self, answered: Callable[[Key], None], seconds: float) -> None:
        self._answered, self._seconds = answered, seconds
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
            entry.facts = question.failed(f"the artifact store did not answer within {self._seconds:g} s")
        except Exception as error:  # noqa: BLE001 - a task's outermost frame: what an artifact contains is not trusted
            entry.facts = question.failed(f"could not be read ({type(error).__name__})")
        entry.answered, entry.task = time.monotonic(), None
        self._answered(key)

    async def _read(self, namespace: str, read: Callable[[], Any]) -> Any:
        """Run a read in a thread. Its place is free when the thread ends, even if nobody waits for it any more."""
        places = self._places.setdefault(namespace, asyncio.Semaphore(_PER_NAMESPACE))
        await places.acquire()
        reading = asyncio.get_running_loop().run_in_executor(self._threads, read)
        reading.add_done_callback(partial(_release, places))
        return await asyncio.shield(reading)


def _release(places: asyncio.Semaphore, reading: "asyncio.Future[Any]") -> None:
    places.release()
    if not reading.cancelled():
        reading.exception()  # retrieved, in case that nobody waits any more
