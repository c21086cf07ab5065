"""Compressed bodies use no more memory together than is allowed, however small they are."""

import asyncio
import zlib
from contextlib import AsyncExitStack

import pytest
from fairlead_graph.compressed import Unpacker
from fairlead_serving.errors import BadRequest, TooLate

from tests.support.loops import in_a_loop

LIMIT = 1 << 20
LARGE, SMALL = zlib.compress(bytes(LIMIT)), zlib.compress(bytes(LIMIT // 8))


def soon(seconds: float = 0.05) -> float:
    return asyncio.get_running_loop().time() + seconds


@in_a_loop
async def test_bodies_in_use_are_bounded_by_their_size_after_decompression() -> None:
    unpacker = Unpacker(LIMIT)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            assert await stack.enter_async_context(unpacker.open(LARGE, "deflate", soon(20))) == bytes(LIMIT)
        with pytest.raises(TooLate):
            async with unpacker.open(SMALL, "deflate", soon()):
                pass
        async with unpacker.open(LARGE, "", soon()) as plain:
            assert plain == LARGE
        waiting = asyncio.create_task(stack.enter_async_context(unpacker.open(SMALL, "deflate", soon(20))))
        await asyncio.sleep(0)
        assert not waiting.done()
        await stack.aclose()
        assert len(await waiting) == LIMIT // 8


@in_a_loop
async def test_small_bodies_are_in_use_together() -> None:
    unpacker = Unpacker(LIMIT)
    async with AsyncExitStack() as stack:
        for _ in range(9):
            await stack.enter_async_context(unpacker.open(SMALL, "deflate", soon(20)))
        with pytest.raises(TooLate):
            await stack.enter_async_context(unpacker.open(SMALL, "deflate", soon()))


@pytest.mark.parametrize("body", [b"no deflate", zlib.compress(bytes(LIMIT + 1)), LARGE[:-1]])
@in_a_loop
async def test_what_fails_leaves_its_space(body: bytes) -> None:
    unpacker = Unpacker(LIMIT)
    for _ in range(3):
        with pytest.raises(BadRequest):
            async with unpacker.open(body, "deflate", soon(20)):
                pass
    async with unpacker.open(LARGE, "deflate", soon(20)), unpacker.open(LARGE, "deflate", soon(20)):
        pass
