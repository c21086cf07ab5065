"""The supervised model process: what ends it is named, costs what it must and no more, and it is started again."""

import asyncio
import gc
import os
import signal
import sys
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fairlead_serving.errors import (
    Code,
    Crashed,
    MemoryExceeded,
    NotReady,
    Overloaded,
    ServingError,
    ShuttingDown,
    TooLate,
)  # fmt: skip
from fairlead_serving.limits import GIB, KIB, Limits
from fairlead_serving.supervisor import CannotServe, ModelProcess

from tests.components.serving import tiny_model
from tests.components.serving.tiny_app import TIMEOUT_SECONDS

COMMAND = (sys.executable, str(Path(tiny_model.__file__)))
SIGFPE = "was ended by SIGFPE (an integer division that has no result)"


@dataclass
class Supervised:
    """A model process under supervision, and what was reported about it."""

    causes: list[str] = field(default_factory=list)
    warmed: list[dict[str, Any]] = field(default_factory=list)
    process: ModelProcess = field(init=False)
    task: "asyncio.Task[None]" = field(init=False)

    async def ask(self, body: bytes = b"x", seconds: float | None = None, **head: Any) -> tuple[dict[str, Any], bytes]:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await self.process.call(head, body, seconds)

    async def wait(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not holds():
                assert not self.task.done(), self.task.exception()
                await asyncio.sleep(0.01)

    async def ready(self) -> "Supervised":
        await self.wait(lambda: self.process.unready is None)
        return self

    async def failure(self) -> CannotServe:
        """Return why the supervision has ended."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            with pytest.raises(CannotServe) as caught:
                await self.task
        return caught.value


def list_files() -> set[str]:
    """Return the numbers of this process's open files, but for that of the folder that lists them."""
    return {file.name for file in Path("/proc/self/fd").iterdir() if file.is_symlink() and file.exists()}


Supervise = Callable[..., Awaitable[Supervised]]


@pytest.fixture
async def supervise() -> AsyncIterator[Supervise]:
    """Return a function that starts a supervised process of the tiny model; all are stopped after the test."""
    started: list[Supervised] = []

    async def run(limits: Limits | None = None, **config: Any) -> Supervised:
        it = Supervised()
        it.process = ModelProcess(COMMAND, config, b"model", limits or Limits(), it.causes.append, it.warmed.append)
        it.task = asyncio.create_task(it.process.run())
        started.append(it)
        return it

    yield run
    for it in started:
        it.process.close()
        await asyncio.gather(it.task, return_exceptions=True)


async def test_a_loaded_process_reports_its_facts_and_replies(supervise: Supervise) -> None:
    it = await supervise()
    with pytest.raises(NotReady, match="the models are loading"):
        await it.ask()
    await it.ready()
    assert it.process.facts == ({"fact": 1, "places": ["part a"]}, b"model")
    assert it.warmed == [{"attempt": 0}]
    large = bytes(range(256)) * 4096
    assert (await it.ask(large))[1] == large
    assert it.causes == []


# Loading


@pytest.mark.parametrize(
    ("config", "at", "problem"),
    [
        ({"invalid": "is no model"}, "part b", "is no model"),
        ({"never": "does not fit"}, "part c", "does not fit"),
        ({"load": "crash"}, "part a", f"the model process {SIGFPE} during the step `load`"),
        ({"load": "allocate"}, "part a", f"needs more memory than the models' limit of {2 * GIB // 4 * 3} bytes"),
        ({"load": "raise"}, "part a", "the model process exited with status 1 during the step `load`"),
        ({"load": "exit"}, "part a", "the model process exited with status 3 during the step `load`"),
        ({"warm_up": ["raise", "raise"]}, "graph",
         "the model process exited with status 1 on made-up input, 2 times with other values"),
        ({"warm_up": ["crash", "crash"]}, "graph",
         f"the model process {SIGFPE} on made-up input, 2 times with other values; what ran: part a"),
    ],
)  # fmt: skip
async def test_what_ends_the_process_while_it_loads_is_named_with_its_step(
    supervise: Supervise, config: dict[str, Any], at: str, problem: str
) -> None:
    failure = await (await supervise(**config)).failure()
    assert (failure.at, failure.problem) == (at, problem)


@pytest.mark.parametrize(
    ("config", "at", "step"),
    [({"load": "hang"}, "part a", "during the step `load`"), ({"warm_up": ["hang", "hang"]}, "graph", "on made-up")],
)
async def test_loading_without_end_is_ended(supervise: Supervise, config: dict[str, Any], at: str, step: str) -> None:
    failure = await (await supervise(Limits(load_timeout_seconds=3), **config)).failure()
    assert failure.at == at
    assert failure.problem.startswith(f"the model process did not finish within 3 s {step}")


async def test_a_command_that_cannot_run_is_named() -> None:
    process = ModelProcess((sys.executable, "-c", "raise SystemExit(5) #"), {}, b"", Limits())
    with pytest.raises(CannotServe) as caught:
        await process.run()
    assert str(caught.value) == "process: the model process exited with status 5 during the step `start`"


async def test_a_command_that_is_not_there_is_named_and_leaves_no_file_open() -> None:
    process = ModelProcess(("/nowhere/python",), {}, b"", Limits())
    gc.collect()
    before = list_files()
    with pytest.raises(CannotServe) as caught:
        await process.run()
    assert str(caught.value) == "process: the model process cannot be started: No such file or directory"
    assert list_files() <= before


async def test_a_crash_in_the_first_warm_up_is_tried_again_with_other_input(supervise: Supervise) -> None:
    it = await (await supervise(warm_up=["crash", ""])).ready()
    assert it.causes == [SIGFPE]
    assert it.warmed == [{"attempt": 1}]
    with pytest.raises(Crashed):
        await it.ask(do="crash")
    await it.ready()
    assert it.warmed == [{"attempt": 1}]  # a replacement is not warmed up again


async def test_an_error_in_the_warm_up_proves_nothing(supervise: Supervise) -> None:
    it = await (await supervise(problem="ones are invalid for this model")).ready()
    assert it.warmed == [{"attempt": 0}]


async def test_a_warm_up_that_needs_too_much_memory_proves_nothing(supervise: Supervise) -> None:
    it = await (await supervise(warm_up=["allocate"])).ready()
    assert it.warmed == [{}]
    assert it.causes == []


async def test_readiness_follows_the_model(supervise: Supervise, tmp_path: Path) -> None:
    part, more = tmp_path / "part", tmp_path / "more"
    it = await supervise(needs=str(part), warm_up_needs=str(more))
    await it.wait(lambda: it.process.unready == "part is missing")
    part.touch()
    await it.wait(lambda: it.process.unready == "the warm-up has to wait: more is missing")
    more.touch()
    await it.ready()
    assert it.warmed == [{"attempt": 0}]


# Requests


@pytest.mark.parametrize(("how", "cause"), [("crash", SIGFPE), ("exit", "exited with status 3")])
async def test_a_request_that_ends_the_process_fails_with_the_cause(supervise: Supervise, how: str, cause: str) -> None:
    it = await (await supervise()).ready()
    before = (await it.ask())[0]["pid"]
    with pytest.raises(Crashed, match="the model process ") as caught:
        await it.ask(do=how)
    assert str(caught.value) == f"the model process {cause} while it ran this request; what ran: part a"
    assert (await it.ask())[0]["pid"] != before
    assert it.causes == [cause]


async def test_others_in_flight_are_run_again_one_at_a_time_and_answered(supervise: Supervise) -> None:
    it = await (await supervise()).ready()
    asked = [asyncio.create_task(it.ask(b"%d" % number, sleep=20)) for number in range(5)]
    guilty = asyncio.create_task(it.ask(do="crash", sleep=0.1))
    async with asyncio.timeout(TIMEOUT_SECONDS):
        replies = await asyncio.gather(*asked)
        with pytest.raises(Crashed):
            await guilty
    assert [body for _, body in replies] == [b"%d" % number for number in range(5)]
    assert all(head["alone"] for head, _ in replies)
    assert not (await it.ask())[0]["alone"]
    assert it.causes == [SIGFPE] * 2  # together with the others, and alone


async def test_a_request_that_needs_too_much_memory_costs_only_itself(supervise: Supervise) -> None:
    it = await (await supervise(Limits(memory_bytes=GIB))).ready()
    before = (await it.ask())[0]["pid"]
    with pytest.raises(MemoryExceeded, match=f"the models' limit of {GIB // 4 * 3} bytes"):
        await it.ask(do="allocate")
    assert (await it.ask())[0]["pid"] == before


async def test_an_error_in_the_program_is_not_told_to_the_client(supervise: Supervise) -> None:
    it = await (await supervise()).ready()
    with pytest.raises(ServingError) as caught:
        await it.ask(do="raise")
    assert (caught.value.code, str(caught.value)) == (Code.INTERNAL, "internal error; see the server's log")
    assert (await it.ask())[1] == b"x"


async def test_a_request_without_end_is_ended_with_the_process_and_the_cause_is_named(
    supervise: Supervise, caplog: pytest.LogCaptureFixture
) -> None:
    it = await (await supervise(Limits(run_timeout_seconds=0.5))).ready()
    with pytest.raises(TooLate):
        await it.ask(do="hang")
    await it.wait(lambda: bool(it.causes))
    assert it.causes == ["did not end a request within 0.5 s"]
    (replaced,) = (record for record in caplog.records if record.message == "the model process is replaced")
    assert replaced.running == ["part a"]  # type: ignore[attr-defined]
    await it.wait(lambda: it.process.facts is not None)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            try:
                assert (await it.process.call({}, b"x"))[1] == b"x"
                return
            except Overloaded:  # the replacement is still starting
                continue


async def test_a_request_that_does_not_get_its_turn_may_be_retried(supervise: Supervise) -> None:
    it = await (await supervise(Limits(run_timeout_seconds=0.5, max_body_bytes=8 * KIB))).ready()
    slow = asyncio.create_task(it.ask(bytes(8 * KIB), do="wait"))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match=r"the request waited 0\.5 s for its turn"):
        await it.ask(bytes(8 * KIB))
    with pytest.raises(TooLate):
        await slow


async def test_a_request_whose_client_is_gone_holds_up_nobody(supervise: Supervise) -> None:
    it = await (await supervise(Limits(max_body_bytes=8 * KIB))).ready()
    slow = asyncio.create_task(it.ask(bytes(8 * KIB), sleep=0.2))
    gone = asyncio.create_task(it.ask(bytes(8 * KIB), do="crash"))
    await asyncio.sleep(0)
    gone.cancel()
    assert (await it.ask(bytes(8 * KIB)))[1] == bytes(8 * KIB)
    assert (await slow)[1] == bytes(8 * KIB)
    assert it.causes == []


async def test_a_request_without_end_is_ended_with_the_process_when_its_client_is_gone(supervise: Supervise) -> None:
    it = await (await supervise(Limits(run_timeout_seconds=1))).ready()
    gone = asyncio.create_task(it.ask(do="hang"))
    await asyncio.sleep(0)
    gone.cancel()
    await it.wait(lambda: bool(it.causes))
    assert it.causes == ["did not end a request within 1 s"]


async def test_a_client_that_waits_for_less_than_the_server_allows_ends_no_process(supervise: Supervise) -> None:
    it = await (await supervise()).ready()
    before = (await it.ask())[0]["pid"]
    with pytest.raises(TooLate):
        await it.ask(do="wait", seconds=0.01)
    assert (await it.ask())[0]["pid"] == before
    assert it.causes == []


async def test_what_waited_for_its_turn_is_forgotten_with_its_client(supervise: Supervise) -> None:
    it = await (await supervise(Limits(max_body_bytes=8 * KIB))).ready()
    slow = asyncio.create_task(it.ask(bytes(8 * KIB), do="wait"))
    await asyncio.sleep(0)
    bodies = []
    for _ in range(3):
        body = Body(8 * KIB)
        bodies.append(weakref.ref(body))
        gone = asyncio.create_task(it.ask(body))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        del body, gone
    await asyncio.sleep(0)
    gc.collect()
    assert [body() for body in bodies] == [None] * 3
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)


class Body(bytearray):
    """A body that can be watched: bytes have no weak references."""


# The end


async def test_closing_ends_the_process_and_fails_what_is_in_flight(supervise: Supervise) -> None:
    it = await (await supervise()).ready()
    pid = it.process.pid
    assert pid is not None
    asked = [asyncio.create_task(it.ask(do="wait")) for _ in range(2)]
    await asyncio.sleep(0)
    it.process.close()
    for task in asked:
        with pytest.raises(ShuttingDown):
            await task
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await it.task
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(ShuttingDown):
        await it.ask()


async def test_a_process_that_was_killed_serves_no_more_before_it_has_exited(supervise: Supervise) -> None:
    it = await (await supervise()).ready()
    assert it.process.serving
    it.process.close()
    assert not it.process.serving


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_are_left_to_the_parent(supervise: Supervise, number: signal.Signals) -> None:
    it = await (await supervise()).ready()
    before = (await it.ask())[0]["pid"]
    os.kill(before, number)
    assert (await it.ask())[0]["pid"] == before


async def test_a_process_that_is_killed_while_idle_is_replaced(supervise: Supervise) -> None:
    it = await (await supervise()).ready()
    before = (await it.ask())[0]["pid"]
    os.kill(before, signal.SIGKILL)
    await it.wait(lambda: bool(it.causes))
    assert it.causes == ["was ended by SIGKILL (perhaps for memory)"]
    assert (await it.ask())[0]["pid"] != before


async def test_what_a_process_wants_to_be_known_reaches_the_next_one(supervise: Supervise) -> None:
    supervised = await (await supervise()).ready()
    assert (await supervised.ask(do="recall"))[1] == b"None"
    await supervised.ask(b"what was learned", do="remember")
    with pytest.raises(Crashed):
        await supervised.ask(do="crash")
    assert (await supervised.ask(do="recall"))[1] == b"what was learned"


async def test_facts_that_change_are_those_of_the_process(supervise: Supervise, tmp_path: Path) -> None:
    supervised = await supervise(facts=str(tmp_path / "new"), needs=str(tmp_path / "new"))
    await supervised.wait(lambda: supervised.process.facts is not None)
    assert supervised.process.facts == ({"fact": 1, "places": ["part a"]}, b"model")
    (tmp_path / "new").touch()
    await supervised.ready()
    assert supervised.process.facts == ({"fact": 2}, b"changed")
