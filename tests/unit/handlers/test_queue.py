"""The keyed queue: one worker per key, no lost additions, backoff after failures."""

import asyncio
from collections.abc import Awaitable, Callable

from fairlead.handlers.queue import Backoff, KeyedQueue


async def run(queue: KeyedQueue[str], seconds: float, workers: int = 4) -> None:
    task = asyncio.create_task(queue.run(workers))
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def make(work: Callable[[str], Awaitable[float | None]]) -> tuple[KeyedQueue[str], list[str]]:
    failures: list[str] = []
    return KeyedQueue(work, lambda key, error, delay: failures.append(f"{key} {error} {delay}")), failures


async def test_a_key_asked_for_many_times_runs_once() -> None:
    seen: list[str] = []

    async def work(key: str) -> None:
        seen.append(key)

    queue, _ = make(work)
    for _ in range(5):
        queue.add("a")
    await run(queue, 0.05)
    assert seen == ["a"]


async def test_a_run_tells_how_long_its_key_was_due() -> None:
    waits: list[tuple[str, float]] = []

    async def work(key: str) -> None:
        await asyncio.sleep(0.05)

    queue = KeyedQueue(work, lambda *_: None, lambda key, seconds: waits.append((key, seconds)))
    queue.add("a")
    queue.add("b", 0.001)
    await run(queue, 0.3, workers=1)
    assert [key for key, _ in waits] == ["a", "b"]
    assert waits[0][1] < waits[1][1]
    assert waits[1][1] >= 0.04, "b was due while a ran"


async def test_a_key_never_runs_concurrently_and_runs_again_if_added_while_running() -> None:
    running: set[str] = set()
    runs: list[str] = []

    async def work(key: str) -> None:
        assert key not in running
        running.add(key)
        runs.append(key)
        if len(runs) == 1:
            queue.add(key)
        await asyncio.sleep(0.02)
        running.remove(key)

    queue, failures = make(work)
    queue.add("a")
    await run(queue, 0.1)
    assert (runs, failures) == (["a", "a"], [])


async def test_a_key_added_while_running_runs_before_its_requeue_delay() -> None:
    runs: list[str] = []

    async def work(key: str) -> float:
        runs.append(key)
        if len(runs) == 1:
            queue.add(key)
        return 3600.0

    queue, _ = make(work)
    queue.add("a")
    await run(queue, 0.05)
    assert len(runs) == 2


async def test_keys_run_concurrently() -> None:
    meeting = asyncio.Barrier(3)

    async def work(_: str) -> None:
        await asyncio.wait_for(meeting.wait(), 1)

    queue, failures = make(work)
    for key in "abc":
        queue.add(key)
    await run(queue, 0.1)
    assert failures == []


async def test_a_failing_key_is_retried_with_growing_delays_and_does_not_delay_others() -> None:
    good: list[str] = []

    async def work(key: str) -> None:
        if key == "bad":
            raise OSError("no")
        good.append(key)

    queue, failures = make(work)
    queue.add("bad")
    queue.add("good")
    await run(queue, 0.7)
    assert failures == ["bad no 0.5", "bad no 1.0"]
    assert good == ["good"]


async def test_a_key_is_requeued_after_its_delay() -> None:
    runs: list[str] = []

    async def work(key: str) -> float | None:
        runs.append(key)
        return 0.01 if len(runs) < 3 else None

    queue, _ = make(work)
    queue.add("a")
    await run(queue, 0.15)
    assert len(runs) == 3
    assert len(queue) == 0


async def test_an_event_shortens_a_long_delay() -> None:
    runs: list[str] = []

    async def work(key: str) -> float:
        runs.append(key)
        return 3600.0

    queue, _ = make(work)
    queue.add("a")
    task = asyncio.create_task(queue.run(1))
    await asyncio.sleep(0.03)
    queue.add("a")
    await asyncio.sleep(0.03)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(runs) == 2


async def test_a_stuck_key_shows_its_age() -> None:
    async def work(_: str) -> None:
        await asyncio.sleep(10)

    queue, _ = make(work)
    queue.add("a")
    task = asyncio.create_task(queue.run(1))
    await asyncio.sleep(0.1)
    assert queue.oldest() >= 0.09
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_far_deadlines_that_nearer_ones_replace_are_forgotten() -> None:
    async def work(key: str) -> float:
        return 86400.0

    queue, _ = make(work)
    task = asyncio.create_task(queue.run(1))
    for _ in range(500):
        queue.add("a")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(queue._heap) <= 70


async def test_a_queue_is_busy_while_all_its_workers_are_taken() -> None:
    release, taken = asyncio.Event(), asyncio.Semaphore(0)

    async def work(key: str) -> None:
        taken.release()
        await release.wait()

    queue, _ = make(work)
    assert not queue.busy
    running = asyncio.create_task(queue.run(workers=2))
    try:
        queue.add("a")
        await taken.acquire()
        assert not queue.busy, "the second worker is free"
        queue.add("b")
        await taken.acquire()
        assert queue.busy
        release.set()
        while queue.busy:  # noqa: ASYNC110 - ends when a worker is free
            await asyncio.sleep(0.001)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_failure_may_limit_its_backoff_and_reports_its_cause() -> None:
    async def work(key: str) -> float:
        raise Backoff(0.01) from ValueError("over quota")

    queue, failures = make(work)
    queue.add("a")
    await run(queue, 0.3)
    assert len(failures) > 2
    assert set(failures) == {"a over quota 0.01"}
