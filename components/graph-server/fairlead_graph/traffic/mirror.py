"""Copies of requests: sent after the live answer, compared with it, and dropped where they are too many."""

import time
from collections.abc import Awaitable, Callable
from typing import Generic

from fairlead_serving.errors import Code, ServingError, ShuttingDown
from fairlead_serving.limits import KIB

from .counting import CLIENTS_FAULT
from .flight import Passage
from .metrics import RouteMetrics
from .targets import AnswerT, Clock, Send, Target
from .tasks import Tasks

COMPARED_BYTES = 512 * KIB
"""Answers up to this size are compared: Python does nothing else while it parses one."""


class Incomparable(Exception):
    """The live answer cannot be compared with any other."""


class Copy(Generic[AnswerT]):
    """A request that this server has answered well, as it is sent to others.

    `prepare` is awaited before. `compare` returns whether an answer agrees with the live one, and the largest distance
    between two numbers of them. Both raise Incomparable.
    """

    def __init__(
        self, send: Send[AnswerT], size: int, answer_bytes: int, prepare: Callable[[], Awaitable[None]],
        compare: Callable[[AnswerT], Awaitable[tuple[bool, float]]],
    ) -> None:  # fmt: skip
        self.send, self.prepare, self.compare = send, prepare, compare
        self.size, self.answer_bytes = size, answer_bytes


class Mirror:
    """Sends copies."""

    def __init__(self, clock: Clock, metrics: RouteMetrics) -> None:
        self._clock, self._metrics = clock, metrics
        self._tasks = Tasks()

    def offer(self, target: Target, copy: Copy[AnswerT]) -> None:
        """Send a copy if it is the target's turn, and too many are not on their way."""
        if target.rotation.take() * 100 >= target.route.mirror_percent:
            return
        size = copy.size + copy.answer_bytes
        if copy.answer_bytes > COMPARED_BYTES or not target.copies.has_space(size):
            self._drop(target)
            return
        passage = Passage(target.route.name, target.copies, size, 2 * COMPARED_BYTES)
        self._tasks.start(self._run(target, passage, copy))

    async def close(self) -> None:
        """End the copies that are on their way."""
        await self._tasks.close()

    async def _run(self, target: Target, passage: Passage, copy: Copy[AnswerT]) -> None:
        try:
            await copy.prepare()
            answer = await self._send(target, passage, copy)
            if answer is not None:
                agreed, distance = await copy.compare(answer)
                target.counting.comparisons.observe(agreed, distance)
                self._metrics.observe_copy(target.route.name, "agreed" if agreed else "different")
        except Incomparable:
            self._drop(target)
        finally:
            passage.leave()

    async def _send(self, target: Target, passage: Passage, copy: Copy[AnswerT]) -> AnswerT | None:
        """Return an answer to compare; count what else there is."""
        start, answer = time.perf_counter(), None
        try:
            answer = await self._clock.send(target.route, passage, copy.send)
            code = answer.code
        except ShuttingDown:
            return None
        except ServingError as error:
            code = error.code
        # This server found the request right: so it is.
        code = Code.BAD_NODE if code in CLIENTS_FAULT else code
        target.counting.copies.observe(code, time.perf_counter() - start)
        if code is Code.OK:
            return answer
        target.counting.comparisons.observe(agreed=False)
        self._metrics.observe_copy(target.route.name, "failed")
        return None

    def _drop(self, target: Target) -> None:
        target.counting.comparisons.dropped += 1
        self._metrics.observe_copy(target.route.name, "dropped")
