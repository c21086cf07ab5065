"""Models in the serving process: what they answer, and that their requests are bounded as those of another process."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from fairlead_serving import local
from fairlead_serving.board import Board
from fairlead_serving.child import Reply, Report
from fairlead_serving.errors import MemoryExceeded, NotReady, Overloaded, ShuttingDown
from fairlead_serving.limits import GIB, KIB, Limits
from fairlead_serving.local import SMALL_BYTES, LocalModels

FACTS: Reply = ({"fact": 1}, b"model")
LARGE = bytes(SMALL_BYTES + 1)
# The limit is this process's from then on.
MEMORY = 64 * GIB


class Echo:
    """Repeats requests, or does as they say."""

    def load(self, config: dict[str, Any], body: bytes, report: Report) -> Reply:
        self.state = config["state"]
        self.proceed = asyncio.Event()
        return FACTS

    async def check(self) -> str | None:
        return None

    def changed(self) -> Reply | None:
        return None

    async def warm_up(self, attempt: int) -> tuple[str | None, dict[str, Any]]:
        return None, {}

    async def call(self, head: dict[str, Any], body: bytes) -> Reply:
        if head.get("do") == "wait":
            await self.proceed.wait()
        elif head.get("do") == "allocate":
            raise MemoryError
        elif head.get("do") == "learn":
            return {"state": body.decode()}, b""
        return {"seconds": head["seconds"], "state": self.state} if head.get("do") == "recall" else {}, body

    async def close(self) -> None:
        pass


Run = Callable[..., Awaitable[LocalModels]]


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    """Return a function that loads models into this process; they are closed after the test."""
    started: list[tuple[LocalModels, asyncio.Task[None]]] = []

    async def begin(state: Any = None, keep: Callable[[Any], None] = lambda _: None, **limits: Any) -> LocalModels:
        models = LocalModels(Echo, {}, b"", Limits(memory_bytes=MEMORY, **limits), FACTS, Board())
        models.keep_state(state, keep)
        started.append((models, asyncio.create_task(models.run())))
        with pytest.raises(NotReady, match="not ready: the models are loading"):
            await models.call({}, b"")
        async with asyncio.timeout(30):
            while models.unready is not None:  # noqa: ASYNC110 - what is waited for sets no event
                await asyncio.sleep(0.01)
        return models

    yield begin
    for models, task in started:
        models.close()
        await task


async def test_a_request_is_answered_within_the_time_of_its_client(run: Run) -> None:
    models = await run("learned", run_timeout_seconds=20)
    assert models.facts == FACTS
    assert await models.call({}, b"x") == ({}, b"x")
    assert (await models.call({"do": "recall"}, b""))[0]["seconds"] == 20
    assert (await models.call({"do": "recall"}, b"", 3.0))[0]["seconds"] == 3
    assert (await models.call({"do": "recall"}, b"", 99.0))[0]["seconds"] == 20


async def test_what_was_learned_is_kept(run: Run) -> None:
    kept: list[Any] = []
    models = await run("before", kept.append)
    await models.call({"do": "learn"}, b"after")
    assert kept == ["after"]


async def test_a_request_that_needs_too_much_memory_costs_only_itself(run: Run) -> None:
    models = await run()
    with pytest.raises(MemoryExceeded, match=f"the models' limit of {MEMORY // 8 * 7} bytes"):
        await models.call({"do": "allocate"}, b"")
    assert await models.call({}, b"x") == ({}, b"x")


async def test_large_bodies_wait_for_their_turn_and_small_ones_do_not(run: Run) -> None:
    models = await run(max_body_bytes=100 * KIB, run_timeout_seconds=0.5)
    first = asyncio.create_task(models.call({"do": "wait"}, LARGE))
    await asyncio.sleep(0)
    assert await models.call({}, b"x") == ({}, b"x")
    with pytest.raises(Overloaded, match=r"the request waited 0\.5 s for its turn"):
        await models.call({}, LARGE)
    second = asyncio.create_task(models.call({}, LARGE))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == ({}, LARGE)


async def test_a_request_that_does_not_end_ends_the_process(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = asyncio.Event()
    monkeypatch.setattr(local.os, "kill", lambda pid, _: killed.set() if pid == os.getpid() else None)
    models = await run(run_timeout_seconds=0.01)
    stuck = asyncio.create_task(models.call({"do": "wait"}, b""))
    async with asyncio.timeout(30):
        await killed.wait()
    assert models._board.cause == "did not end a request within 0.01 s"
    stuck.cancel()


async def test_after_the_end_nothing_is_answered(run: Run) -> None:
    models = await run()
    models.close()
    with pytest.raises(ShuttingDown):
        await models.call({}, b"x")
