"""Compressed bodies in the model process: what they are after decompression is bounded over all requests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fairlead_serving.compression import decompress
from fairlead_serving.errors import TooLate

_INLINE_BYTES = 1 << 14
"""What is shorter is unpacked in the event loop: a change of threads takes longer."""


class Unpacker:
    """Unpacks bodies of at most `max_bytes`, and lets those that are in use have twice as many together.

    The other process bounds what is in flight by the size before decompression, which can be a thousandth.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes, self._free = max_bytes, 2 * max_bytes
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def open(self, body: bytes, encoding: str, deadline: float) -> AsyncIterator[bytes]:
        """Yield a body after decompression; raise BadRequest, and TooLate if others use all space until the deadline.

        The deadline is in the event loop's time.
        """
        if not encoding:
            yield body
            return
        reserved = self._max_bytes
        await self._reserve(reserved, deadline)
        try:
            if len(body) < _INLINE_BYTES:
                content = decompress(body, encoding, self._max_bytes)
            else:
                content = await asyncio.to_thread(decompress, body, encoding, self._max_bytes)
            await self._release(reserved - len(content))
            reserved = len(content)
            yield content
        finally:
            await self._release(reserved)

    async def _reserve(self, count: int, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline), self._freed:
                await self._freed.wait_for(lambda: self._free >= count)
                self._free -= count
        except TimeoutError:
            raise TooLate from None

    async def _release(self, count: int) -> None:
        async with self._freed:
            self._free += count
            self._freed.notify_all()
