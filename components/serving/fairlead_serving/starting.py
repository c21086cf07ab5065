"""Runs a coroutine at once, and leaves to a task only what it has to wait for: most requests wait for nothing."""

from collections.abc import Awaitable, Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


def start(running: Coroutine[Any, Any, _Result]) -> _Result | Awaitable[_Result]:
    """Run a coroutine until it waits; return its result, or the rest of it to await; raise what it raises.

    It has no task of its own until then, so that what needs one (`asyncio.timeout`) may only come after a wait.
    """
    try:
        waiting = running.send(None)
    except StopIteration as end:
        result: _Result = end.value
        return result
    return _go_on(running, waiting)


@coroutine
def _go_on(running: Coroutine[Any, Any, _Result], waiting: Any) -> Generator[Any, Any, _Result]:
    """Wait for what a coroutine waits for, and pass on to it what comes of that, until it ends."""
    try:
        while True:
            try:
                value = yield waiting
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's, above all the cancellation
                waiting = running.throw(error)
            else:
                waiting = running.send(value)
    except StopIteration as end:
        result: _Result = end.value
        return result
    finally:
        running.close()
