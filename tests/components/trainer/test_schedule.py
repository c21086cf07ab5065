"""When checkpoints are due."""

from fairlead_trainer.schedule import Schedule


def saved_steps(schedule: Schedule, seconds_per_step: float, total: int, busy: set[int] | None = None) -> list[int]:
    """Return the steps at which a training saves, and assert that decisions are rare."""
    saved, decisions = [], 0
    for step in range(1, total + 1):
        now = step * seconds_per_step
        if not schedule.is_due(step):
            continue
        decisions += 1
        saves, next_step = schedule.decide(step, now, step in (busy or set()))
        assert next_step > step
        schedule.follow(step, next_step, saves, now)
        if saves:
            saved.append(step)
    assert decisions <= max(30, total / 5)
    return saved


def test_each_multiple_of_the_steps() -> None:
    assert saved_steps(Schedule(50, None, 0), 0.1, 170) == [50, 100, 150]


def test_none_without_an_interval() -> None:
    assert saved_steps(Schedule(None, None, 0), 0.1, 100) == []


def test_seconds_become_steps() -> None:
    steps = saved_steps(Schedule(None, 10, 0), 0.1, 1000)
    assert len(steps) in (9, 10)
    assert all(100 <= after - before <= 110 for before, after in zip([0, *steps], steps, strict=False))


def test_slow_steps_save_each_time() -> None:
    assert saved_steps(Schedule(None, 10, 0), 15, 5) == [1, 2, 3, 4, 5]


def test_while_the_last_one_is_being_written_none_is_saved() -> None:
    assert saved_steps(Schedule(10, None, 0), 1, 50, busy={20, 30}) == [10, 40, 50]
    # by time, the next step is tried
    assert saved_steps(Schedule(None, 10, 0), 10, 6, busy={2, 3}) == [1, 4, 5, 6]


def test_after_a_restored_step_the_time_begins_anew() -> None:
    schedule = Schedule(None, 10, 0)
    schedule.begin(100, now=500)
    assert schedule.decide(101, 501, busy=False)[0] is False
    assert schedule.decide(111, 511, busy=False)[0] is True
