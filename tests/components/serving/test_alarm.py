"""An alarm rings once, at the time that was set last."""

import asyncio
from collections.abc import Callable

import pytest
from fairlead_serving.alarm import Alarm


class Loop:
    """A clock that a test turns, with the timers of an event loop."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, 0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, due: float, action: Callable[[], None]) -> "Timer":
        self.calls += 1
        self.timers.append(Timer(self, due, action))
        return self.timers[-1]

    def turn(self, now: float) -> None:
        while due := sorted((timer for timer in self.timers if timer.due <= now), key=lambda timer: timer.due):
            self.now = due[0].due
            self.timers.remove(due[0])
            due[0].action()
        self.now = now


class Timer(asyncio.TimerHandle):
    """One of them."""

    def __init__(self, loop: Loop, due: float, action: Callable[[], None]) -> None:
        self.loop, self.due, self.action = loop, due, action

    def cancel(self) -> None:
        self.loop.timers.remove(self)


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def rings() -> list[tuple[str, float]]:
    return []


def make(loop: Loop, rings: list[tuple[str, float]]) -> tuple[Alarm, Callable[[str], Callable[[], None]]]:
    return Alarm(loop), lambda name: lambda: rings.append((name, loop.now))  # type: ignore[arg-type]


def test_it_rings_at_the_time_that_was_set_last(loop: Loop, rings: list[tuple[str, float]]) -> None:
    alarm, ring = make(loop, rings)
    for now in range(5):
        loop.turn(float(now))
        alarm.set(10.0, ring(f"set at {now}"))
    loop.turn(100.0)
    assert rings == [("set at 4", 14.0)]
    assert not loop.timers


def test_an_earlier_time_is_kept_although_a_later_one_was_set_before(
    loop: Loop, rings: list[tuple[str, float]]
) -> None:
    alarm, ring = make(loop, rings)
    alarm.set(75.0, ring("late"))
    alarm.set(10.0, ring("early"))
    loop.turn(100.0)
    assert rings == [("early", 10.0)]


@pytest.mark.parametrize("end", [Alarm.clear, Alarm.close])
def test_nothing_rings_after_it_was_cleared(
    loop: Loop, rings: list[tuple[str, float]], end: Callable[[Alarm], None]
) -> None:
    alarm, ring = make(loop, rings)
    alarm.set(10.0, ring("cleared"))
    end(alarm)
    loop.turn(100.0)
    assert rings == []
    alarm.set(10.0, ring("set again"))
    loop.turn(200.0)
    assert rings == [("set again", 110.0)]


def test_what_it_calls_may_set_it_again(loop: Loop, rings: list[tuple[str, float]]) -> None:
    alarm, ring = make(loop, rings)

    def again() -> None:
        rings.append(("first", loop.now))
        alarm.set(5.0, ring("second"))

    alarm.set(10.0, again)
    loop.turn(100.0)
    assert rings == [("first", 10.0), ("second", 15.0)]


def test_requests_cost_the_event_loop_hardly_any_timers(loop: Loop, rings: list[tuple[str, float]]) -> None:
    alarm, ring = make(loop, rings)
    for number in range(1000):
        loop.turn(number / 100)
        alarm.set(75.0, ring("idle"))
        alarm.set(10.0, ring("headers"))
        alarm.clear()
    assert loop.calls < 5
    assert rings == []
