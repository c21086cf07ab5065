"""Compressed bodies in the model process: what requests are after decompression is bounded over all of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Concatenate, ParamSpec

from fairlead_serving.compression import MIN_BYTES, choose, compress, decompress
from fairlead_serving.errors import TooLate

_P = ParamSpec("_P")
_INLINE_BYTES = 1 << 14
"""What is shorter is converted in the event loop: a change of threads takes longer."""


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
            content = await _convert(decompress, body, encoding, self._max_bytes)
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


async def pack(content: bytes, accepted: str) -> tuple[bytes, str]:
    """Return a response's body, compressed where the client accepts that and it pays, and its encoding."""
    encoding = choose(accepted) if accepted and len(content) >= MIN_BYTES else ""
    return (await _convert(compress, content, encoding), encoding) if encoding else (content, "")


async def _convert(
    convert: Callable[Concatenate[bytes, _P], bytes], content: bytes, *args: _P.args, **kwargs: _P.kwargs
) -> bytes:
    if len(content) < _INLINE_BYTES:
        return convert(content, *args, **kwargs)
    return await asyncio.to_thread(convert, content, *args, **kwargs)
