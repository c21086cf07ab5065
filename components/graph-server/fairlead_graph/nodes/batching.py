"""Dynamic batching: requests that reach a model within a few milliseconds are run together, as rows of one run.

Requests share a run only if their tensors have the same names, types and sizes but for the first dimension, so that a
request of another shape can fail alone. A run that fails is repeated request by request: each gets its own error.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from fairlead_contracts.graph import Batching
from fairlead_contracts.tensors import Array
from fairlead_serving.errors import Code, ServingError

from ..errors import InvalidGraph, NodeFailed, NodeTooLate
from ..tensors import Signature

_log = logging.getLogger(__name__)
Feeds = Mapping[str, Array]
Run = Callable[[dict[str, Array], float], Awaitable[list[Array]]]
"""Runs a model: its inputs and the deadline."""
_Key = tuple[tuple[str, str, tuple[int, ...]], ...]


def check_batchable(signature: Signature, at: str) -> None:
    """Raise InvalidGraph unless all inputs and outputs have a first dimension of any size."""
    inputs = [("input", spec) for spec in signature.inputs if not spec.optional]
    for side, spec in (*inputs, *(("output", spec) for spec in signature.outputs)):
        if not spec.dims or isinstance(spec.dims[0], int):
            found = f"has shape {spec.shape}" if spec.dims is not None else "has no shape"
            problem = f"{found}, expected a first dimension of any size (-1), as batching needs it"
            raise InvalidGraph(f"{at}: {side} {spec.name}", problem)


@dataclass(eq=False)
class _Entry:
    """A request that waits for its turn."""

    feeds: Feeds
    rows: int
    deadline: float
    outputs: asyncio.Future[list[Array]]


@dataclass(eq=False)
class _Batch:
    """Requests that are run together."""

    key: _Key
    entries: list[_Entry] = field(default_factory=list)
    due: bool = False
    timer: asyncio.TimerHandle | None = None

    @property
    def rows(self) -> int:
        """Return the rows of all requests."""
        return sum(entry.rows for entry in self.entries)


class Batcher:
    """Runs the requests to one model together. What waits is bounded by what the server has in flight."""

    def __init__(self, node: str, limits: Batching, run: Run, slots: int) -> None:
        """Run batches with `run`, at most `slots` at a time."""
        self._node, self._limits, self._run, self._slots = node, limits, run, slots
        self._open: dict[_Key, _Batch] = {}
        """Batches that more requests may join, by what these have to have in common."""
        self._due: deque[_Batch] = deque()
        """Batches that wait for a slot."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._seconds = 0.0
        """Duration of the last run."""

    async def run(self, feeds: dict[str, Array], deadline: float) -> list[Array]:
        """Return a request's outputs; raise ServingError. The deadline is in the event loop's time."""
        rows = _count_rows(feeds)
        if not 0 < rows < self._limits.max_batch_size:
            return await self._run(feeds, deadline)
        entry = _Entry(feeds, rows, deadline, asyncio.get_running_loop().create_future())
        self._add(entry)
        try:
            async with asyncio.timeout_at(deadline):
                return await entry.outputs
        except TimeoutError:
            raise NodeTooLate(self._node) from None

    def _add(self, entry: _Entry) -> None:
        key: _Key = tuple((name, array.dtype.str, array.shape[1:]) for name, array in entry.feeds.items())
        batch = self._open.get(key)
        if batch is not None and batch.rows + entry.rows > self._limits.max_batch_size:
            self._close(batch)
            batch = None
        if batch is None:
            batch = self._open[key] = _Batch(key)
        batch.entries.append(entry)
        loop = asyncio.get_running_loop()
        # a request that its deadline leaves no time to wait takes those along that wait already
        end = min(loop.time() + self._limits.max_delay_milliseconds / 1000, entry.deadline - 2 * self._seconds)
        if batch.rows == self._limits.max_batch_size:
            self._close(batch)
        elif end <= loop.time():
            self._make_due(batch)
        elif not batch.due and (batch.timer is None or end < batch.timer.when()):
            if batch.timer is not None:
                batch.timer.cancel()
            batch.timer = loop.call_at(end, self._make_due, batch)

    def _close(self, batch: _Batch) -> None:
        """Let no more requests join a batch."""
        del self._open[batch.key]
        self._make_due(batch)

    def _make_due(self, batch: _Batch) -> None:
        """Run a batch as soon as a slot is free; until then, more requests may join it."""
        if not batch.due:
            batch.due = True
            if batch.timer is not None:
                batch.timer.cancel()
            self._due.append(batch)
        self._start()

    def _start(self) -> None:
        while self._due and len(self._tasks) < self._slots:
            batch = self._due.popleft()
            if self._open.get(batch.key) is batch:
                del self._open[batch.key]
            task = asyncio.get_running_loop().create_task(self._execute(batch))
            self._tasks.add(task)
            task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            self._start()

    async def _execute(self, batch: _Batch) -> None:
        """Run a batch, and give each request its rows or its error."""
        entries = [entry for entry in batch.entries if not entry.outputs.done()]
        if not entries:
            return
        start = time.perf_counter()
        try:
            await self._answer(entries)
        finally:
            # an error in the program is in the log, and must not leave requests without an answer
            for entry in entries:
                _fail(entry, NodeFailed(self._node, "its batch was not run to the end"))
        self._seconds = time.perf_counter() - start

    async def _answer(self, entries: Sequence[_Entry]) -> None:
        outputs = await self._run_together(entries) if len(entries) > 1 else None
        if outputs is None:
            for entry in entries:
                await self._run_alone(entry)
            return
        place = 0
        for entry in entries:
            if not entry.outputs.done():
                entry.outputs.set_result([output[place : place + entry.rows] for output in outputs])
            place += entry.rows

    async def _run_together(self, entries: Sequence[_Entry]) -> list[Array] | None:
        """Return the outputs of all requests; None if they have to be run alone."""
        rows = sum(entry.rows for entry in entries)
        try:
            feeds = {name: np.concatenate([entry.feeds[name] for entry in entries]) for name in entries[0].feeds}
            outputs = await self._run(feeds, max(entry.deadline for entry in entries))
        except ServingError as error:
            if error.code is Code.TOO_LATE:
                for entry in entries:
                    _fail(entry, error)
            return None
        except MemoryError:
            return None
        if all(output.ndim and output.shape[0] == rows for output in outputs):
            return outputs
        shapes = [list(output.shape) for output in outputs]
        _log.warning("outputs have other rows than inputs", extra={"node": self._node, "rows": rows, "shapes": shapes})
        return None

    async def _run_alone(self, entry: _Entry) -> None:
        if entry.outputs.done():
            return
        try:
            outputs = await self._run(dict(entry.feeds), entry.deadline)
        except (ServingError, MemoryError) as error:
            _fail(entry, error)
        else:
            if not entry.outputs.done():
                entry.outputs.set_result(outputs)


def _fail(entry: _Entry, error: Exception) -> None:
    if not entry.outputs.done():
        entry.outputs.set_exception(error)


def _count_rows(feeds: Feeds) -> int:
    """Return the rows that all tensors of a request have; 0 if they have none in common."""
    counts = {array.shape[0] if array.ndim else 0 for array in feeds.values()}
    return counts.pop() if len(counts) == 1 else 0
