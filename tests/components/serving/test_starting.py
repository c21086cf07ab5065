"""What can be answered at once is, and the rest goes on in a task as if it had been there from the beginning."""

import asyncio
from collections.abc import Awaitable, Coroutine
from inspect import isawaitable
from typing import Any

import pytest
from fairlead_serving.starting import start


def wait_for(running: Coroutine[Any, Any, int]) -> Awaitable[int]:
    """Start a coroutine that has to wait, and return the rest of it."""
    rest = start(running)
    assert isawaitable(rest)
    return rest


async def finish(rest: Awaitable[int]) -> int:
    return await rest


async def add(one: int, other: int) -> int:
    return one + other


async def add_later(one: asyncio.Future[int], ended: list[str]) -> int:
    try:
        return await one + await asyncio.sleep(0, 1)
    except asyncio.CancelledError:
        ended.append("cancelled")
        raise
    finally:
        ended.append("closed")


def test_what_waits_for_nothing_has_its_result_at_once() -> None:
    assert start(add(1, 2)) == 3


def test_an_error_before_the_first_wait_is_raised_at_once() -> None:
    async def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        start(fail())


async def test_the_rest_is_awaited() -> None:
    one: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    rest = wait_for(add_later(one, []))
    asyncio.get_running_loop().call_soon(one.set_result, 41)
    assert await rest == 42


async def test_an_error_of_what_is_awaited_reaches_the_coroutine() -> None:
    one: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    ended: list[str] = []
    rest = wait_for(add_later(one, ended))
    one.set_exception(KeyError("x"))
    with pytest.raises(KeyError):
        await rest
    assert ended == ["closed"]


async def test_a_cancellation_reaches_the_coroutine() -> None:
    ended: list[str] = []
    rest = wait_for(add_later(asyncio.get_running_loop().create_future(), ended))
    task = asyncio.create_task(finish(rest))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["cancelled", "closed"]


async def test_a_rest_that_nobody_awaits_is_closed() -> None:
    ended: list[str] = []
    rest = wait_for(add_later(asyncio.get_running_loop().create_future(), ended))
    del rest
    assert ended == ["closed"]
