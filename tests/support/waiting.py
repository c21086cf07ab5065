"""Waiting in asynchronous tests."""

import asyncio
from collections.abc import Callable


async def wait_until(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    """Return once a condition holds; raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what changes is in another task
            await asyncio.sleep(0.01)
