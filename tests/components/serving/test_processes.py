"""Several model processes: what happens to one of them costs the requests of the others nothing."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from fairlead_serving.errors import Crashed, NotReady, ShuttingDown, TooLate
from fairlead_serving.limits import KIB, MIB, Limits
from fairlead_serving.processes import ModelProcesses
from fairlead_serving.supervisor import CannotServe

from tests.components.serving import tiny_model
from tests.components.serving.tiny_app import TIMEOUT_SECONDS

COMMAND = (sys.executable, str(Path(tiny_model.__file__)))
SIGFPE = "was ended by SIGFPE (an integer division that has no result)"
OWNED = "feedback"


class Pool:
    """Model processes, and what was reported about them."""

    def __init__(self, count: int, limits: Limits, config: dict[str, Any]) -> None:
        self.causes: list[str] = []
        self.warmed: list[dict[str, Any]] = []
        self.kept: list[Any] = []
        self.processes = ModelProcesses(
            COMMAND, config, b"model", limits, count, {OWNED}, self.causes.append, self.warmed.append
        )
        self.processes.keep_state(None, self.kept.append)
        self.task = asyncio.create_task(self.processes.run())

    async def ask(self, body: bytes = b"x", seconds: float | None = None, **head: Any) -> tuple[dict[str, Any], bytes]:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await self.processes.call(head, body, seconds)

    async def ask_at_once(self, heads: Iterable[dict[str, Any]]) -> list[Any]:
        asked = [asyncio.create_task(self.ask(**head)) for head in heads]
        return await asyncio.gather(*asked, return_exceptions=True)

    async def list_pids(self) -> list[int]:
        """Return the ids of the processes, in their order."""
        return [head["pid"] for head, _ in await self.processes.call_each({}, TIMEOUT_SECONDS)]

    async def wait(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not holds():
                assert not self.task.done(), self.task.exception()
                await asyncio.sleep(0.01)

    async def ready(self) -> "Pool":
        await self.wait(lambda: self.processes.unready is None)
        return self


def add_tokens(folder: Path, count: int) -> None:
    """Let as many processes load."""
    for number in range(count):
        (folder / str(number)).touch()


Start = Callable[..., Awaitable[Pool]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Return a function that starts processes of the tiny model; all are stopped after the test."""
    started: list[Pool] = []

    async def run(count: int = 2, limits: Limits | None = None, **config: Any) -> Pool:
        started.append(Pool(count, limits or Limits(), config))
        return started[-1]

    yield run
    for pool in started:
        pool.processes.close()
        await asyncio.gather(pool.task, return_exceptions=True)


async def test_requests_at_once_are_spread_evenly(start: Start) -> None:
    pool = await (await start(3)).ready()
    replies = await pool.ask_at_once({"sleep": 0.3} for _ in range(6))
    pids = [head["pid"] for head, _ in replies]
    assert sorted(pids.count(pid) for pid in await pool.list_pids()) == [2, 2, 2]
    assert pool.warmed == [{"attempt": 0}] * 3


async def test_each_process_has_its_share_of_the_memory(start: Start) -> None:
    limits = Limits(memory_bytes=1024 * MIB, max_response_bytes=64 * MIB)
    pool = await (await start(2, limits)).ready()
    replies = await pool.processes.call_each({}, TIMEOUT_SECONDS)
    # three quarters of it, but for the second process's response on its way
    assert [head["bytes"] for head, _ in replies] == [(768 - 64) // 2 * MIB] * 2
    assert limits.share_model_bytes(1) == limits.model_bytes == 768 * MIB


async def test_a_crash_costs_the_requests_of_its_process_alone(start: Start) -> None:
    pool = await (await start()).ready()
    first, second = await pool.list_pids()
    # by turns to the first and the second process
    heads = [{"do": "crash", "sleep": 0.2}, *({"sleep": 0.5} for _ in range(5))]
    crashed, *replies = await pool.ask_at_once(heads)
    assert isinstance(crashed, Crashed)
    others = [head for head, _ in replies]
    # together with the others of its process, and then alone
    assert pool.causes == [SIGFPE] * 2
    kept = [head for head in others if head["pid"] == second]
    assert (len(kept), any(head["alone"] for head in kept)) == (3, False)
    assert all(head["alone"] for head in others if head["pid"] != second)
    assert await pool.list_pids() != [first, second]
    assert (await pool.list_pids())[1] == second


async def test_requests_go_to_the_others_while_a_process_is_replaced(start: Start) -> None:
    pool = await (await start()).ready()
    first, second = await pool.list_pids()
    os.kill(first, signal.SIGKILL)
    await pool.wait(lambda: bool(pool.causes))
    assert pool.processes.unready is None
    replies = await pool.ask_at_once({} for _ in range(4))
    assert [head["pid"] for head, _ in replies] == [second] * 4


async def test_what_waits_for_a_process_that_dies_is_answered_by_another_one(start: Start, tmp_path: Path) -> None:
    add_tokens(tmp_path, 2)  # none for a replacement
    pool = await (await start(limits=Limits(max_body_bytes=8 * KIB), tokens=str(tmp_path))).ready()
    first, second = await pool.list_pids()
    held = asyncio.create_task(pool.ask(bytes(8 * KIB), do="wait"))
    other = asyncio.create_task(pool.ask(bytes(8 * KIB), sleep=0.5))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(pool.ask(b"%d" % number)) for number in range(4)]
    await asyncio.sleep(0)
    os.kill(first, signal.SIGKILL)
    replies = await asyncio.gather(*waiting)
    assert [(head["pid"], body) for head, body in replies] == [(second, b"%d" % number) for number in range(4)]
    assert (await other)[0]["pid"] == second
    with pytest.raises(Crashed):
        await held


async def test_what_waits_for_any_process_goes_to_the_first_that_loads(start: Start, tmp_path: Path) -> None:
    add_tokens(tmp_path, 2)
    pool = await (await start(tokens=str(tmp_path))).ready()
    for pid in await pool.list_pids():
        os.kill(pid, signal.SIGKILL)
    await pool.wait(lambda: len(pool.causes) == 2)
    waiting = [asyncio.create_task(pool.ask()) for _ in range(4)]
    await asyncio.sleep(0)
    add_tokens(tmp_path, 1)
    assert len({head["pid"] for head, _ in await asyncio.gather(*waiting)}) == 1


async def test_small_requests_do_not_wait_for_a_large_one_if_a_process_is_idle(start: Start) -> None:
    pool = await (await start(limits=Limits(max_body_bytes=8 * KIB))).ready()
    _, second = await pool.list_pids()
    large = asyncio.create_task(pool.ask(bytes(8 * KIB), do="wait"))
    await asyncio.sleep(0)
    replies = await pool.ask_at_once({"sleep": 0.1} for _ in range(2))
    assert [head["pid"] for head, _ in replies] == [second] * 2
    large.cancel()


async def test_requests_wait_when_all_processes_are_replaced(start: Start) -> None:
    pool = await (await start()).ready()
    before = await pool.list_pids()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    await pool.wait(lambda: len(pool.causes) == 2)
    replies = await pool.ask_at_once({} for _ in range(4))
    assert not {head["pid"] for head, _ in replies} & {*before}


async def test_a_request_without_end_costs_no_request_of_another_process(start: Start) -> None:
    pool = await (await start(limits=Limits(run_timeout_seconds=1))).ready()
    _, second = await pool.list_pids()
    late, reply = await pool.ask_at_once([{"do": "hang"}, {"sleep": 0.1}])
    assert isinstance(late, TooLate)
    assert reply[0]["pid"] == second
    await pool.wait(lambda: bool(pool.causes))
    assert pool.causes == ["did not end a request within 1 s"]


async def test_large_bodies_are_in_different_processes(start: Start) -> None:
    pool = await (await start(limits=Limits(max_body_bytes=8 * KIB))).ready()
    bodies = [bytes([number]) * (8 * KIB) for number in range(2)]
    replies = await pool.ask_at_once({"body": body, "sleep": 0.3} for body in bodies)
    assert [body for _, body in replies] == bodies
    assert len({head["pid"] for head, _ in replies}) == 2


async def test_the_server_is_ready_when_all_processes_are(start: Start, tmp_path: Path) -> None:
    part = tmp_path / "part"
    pool = await start(needs=str(part))
    with pytest.raises(NotReady):
        await pool.ask()
    await pool.wait(lambda: len(pool.processes.all_facts) == 2)
    assert pool.processes.unready is not None
    assert (await pool.ask())[1] == b"x"  # as with one process, what is loaded answers
    part.touch()
    await pool.ready()
    assert len(pool.warmed) == 2


async def test_one_process_that_cannot_serve_ends_all(start: Start) -> None:
    pool = await start(3, invalid="is no model")
    async with asyncio.timeout(TIMEOUT_SECONDS):
        with pytest.raises(CannotServe, match="part b: is no model"):
            await pool.task
    with pytest.raises(ShuttingDown):
        await pool.ask()


async def test_a_replacement_that_cannot_load_ends_no_other_process(start: Start, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    pool = await (await start(broken=str(broken))).ready()
    first, second = await pool.list_pids()
    broken.touch()
    os.kill(first, signal.SIGKILL)
    await pool.wait(lambda: "cannot load the models" in pool.causes)
    assert (pool.processes.unready, pool.processes.serving) == (None, 1)
    assert (await pool.ask())[0]["pid"] == second
    broken.unlink()
    await pool.wait(lambda: pool.processes.serving == 2)
    assert (await pool.list_pids())[1] == second


async def test_the_server_ends_when_none_of_its_processes_can_load(start: Start, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    pool = await (await start(broken=str(broken))).ready()
    broken.touch()
    for pid in await pool.list_pids():
        os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        with pytest.raises(CannotServe, match="part b: is broken"):
            await pool.task


async def test_the_reason_is_known_when_no_process_serves(start: Start, tmp_path: Path) -> None:
    broken, tokens = tmp_path / "broken", tmp_path / "tokens"
    tokens.mkdir()
    add_tokens(tokens, 3)
    pool = await (await start(broken=str(broken), tokens=str(tokens))).ready()
    first, second = await pool.list_pids()
    broken.touch()
    os.kill(first, signal.SIGKILL)
    await pool.wait(lambda: "cannot load the models" in pool.causes)
    os.kill(second, signal.SIGKILL)
    await pool.wait(lambda: pool.processes.serving == 0)
    assert pool.processes.unready == "part b: is broken"


async def test_processes_that_load_at_once_have_the_time_of_all(start: Start) -> None:
    pool = await start(3, Limits(load_timeout_seconds=0.5), load="hang")
    async with asyncio.timeout(TIMEOUT_SECONDS):
        with pytest.raises(CannotServe, match=r"did not finish within 1\.5 s"):
            await pool.task


async def test_the_server_stays_ready_while_one_process_is(start: Start, tmp_path: Path) -> None:
    pool = await (await start(unready=str(tmp_path))).ready()
    first, second = await pool.list_pids()
    (tmp_path / str(first)).touch()
    await pool.wait(lambda: "this process cannot answer" in pool.processes.reasons)
    assert pool.processes.unready is None
    replies = await pool.ask_at_once({"sleep": 0.1} for _ in range(3))
    assert [head["pid"] for head, _ in replies] == [second] * 3
    (tmp_path / str(second)).touch()
    await pool.wait(lambda: pool.processes.unready == "this process cannot answer")


async def test_what_the_first_process_learns_is_known_to_the_next_request_of_each(start: Start) -> None:
    pool = await (await start(3)).ready()
    for learned in (b"this", b"that"):
        await pool.ask(learned, protocol=OWNED, do="remember")
        replies = await pool.processes.call_each({"do": "recall"}, TIMEOUT_SECONDS)
        assert [body for _, body in replies] == [learned] * 3
    assert pool.kept == ["this", "that"]


async def test_owned_requests_wait_for_their_process(start: Start) -> None:
    pool = await (await start()).ready()
    first, second = await pool.list_pids()
    await pool.ask(b"this", protocol=OWNED, do="remember")
    os.kill(first, signal.SIGKILL)
    await pool.wait(lambda: bool(pool.causes))
    head, body = await pool.ask(protocol=OWNED, do="recall")
    assert (head["pid"] == second, body) == (False, b"this")


async def test_a_process_that_is_replaced_goes_on_from_what_the_others_know(start: Start) -> None:
    pool = await (await start()).ready()
    _, second = await pool.list_pids()
    os.kill(second, signal.SIGKILL)
    await pool.wait(lambda: bool(pool.causes))
    await pool.ask(b"this", protocol=OWNED, do="remember")
    replies = await pool.processes.call_each({"do": "recall"}, TIMEOUT_SECONDS)
    assert [body for _, body in replies] == [b"this"] * 2


async def test_a_request_that_is_run_again_brings_back_no_older_state(start: Start) -> None:
    pool = await (await start()).ready()
    await pool.ask(b"old", protocol=OWNED, do="remember")
    first, second = await pool.list_pids()
    busy = [asyncio.create_task(pool.ask(sleep=TIMEOUT_SECONDS)) for _ in range(4)]
    await asyncio.sleep(0.1)
    await pool.ask(b"new", protocol=OWNED, do="remember")
    os.kill(second, signal.SIGKILL)
    await pool.wait(lambda: bool(pool.causes))
    for request in busy:
        request.cancel()
    replies = await pool.processes.call_each({"do": "recall"}, TIMEOUT_SECONDS)
    assert [body for _, body in replies] == [b"new"] * 2
    assert first in await pool.list_pids()


async def test_closing_ends_all_processes_and_fails_what_is_in_flight(start: Start) -> None:
    pool = await (await start()).ready()
    pids = await pool.list_pids()
    asked = [asyncio.create_task(pool.ask(do="wait")) for _ in range(4)]
    await asyncio.sleep(0)
    pool.processes.close()
    assert all(isinstance(error, ShuttingDown) for error in await asyncio.gather(*asked, return_exceptions=True))
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await pool.task
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
