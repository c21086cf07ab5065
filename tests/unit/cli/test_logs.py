"""The logs of all pods of a job."""

import io
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fairlead.cli import logs
from fairlead.client import FairleadError, NotFound, Unreachable
from fairlead.client import logs as reading
from fairlead.client.logs import LogLine, follow_logs, read_logs
from rich.console import Console

Object = dict[str, Any]


def make_pod(role: str, index: int = 0, phase: str = "Running", uid: str = "") -> Object:
    labels = {"fairlead.dev/role": role, "fairlead.dev/worker-index": str(index)}
    name = f"houses-{role}-{index}"
    return {"metadata": {"name": name, "uid": uid or name, "labels": labels}, "status": {"phase": phase}}


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_POLL_SECONDS", 0.02)


def read(pod: Object, follow: bool) -> Iterator[str]:
    yield from (f"{pod['metadata']['name']} {number}" for number in range(3))


def test_finished_logs_come_one_after_the_other_launcher_first() -> None:
    pods = [make_pod("worker", 10), make_pod("worker", 2), make_pod("launcher")]
    sources = [line.source for line in read_logs(pods, read)]
    assert sources == ["launcher"] * 3 + ["worker-2"] * 3 + ["worker-10"] * 3


def test_a_pod_that_waits_is_left_out_and_one_whose_log_fails_is_named() -> None:
    def broken(pod: Object, follow: bool) -> Iterator[str]:
        raise FairleadError("rotated away")
        yield ""

    pods = [make_pod("worker", 0, "Pending"), make_pod("worker", 1)]
    assert list(read_logs(pods, broken)) == [LogLine("worker-1", "(no log: rotated away)")]


def test_all_pods_are_followed_until_the_job_has_ended_also_those_that_start_later() -> None:
    pods = [make_pod("launcher"), make_pod("worker", 0, "Pending")]
    go, ended = threading.Event(), threading.Event()

    def wait(pod: Object, follow: bool) -> Iterator[str]:
        yield "first"
        assert go.wait(10)
        yield "last"

    def list_pods() -> list[Object]:
        if len(seen) == 1:
            pods[1] = make_pod("worker", 0)
        return pods

    seen: list[LogLine] = []
    for line in follow_logs(list_pods, ended.is_set, wait):
        seen.append(line)
        if len(seen) == 2:
            ended.set()  # lines that are still being read come before the end
            go.set()
    assert sorted((line.source, line.text) for line in seen) == [
        ("launcher", "first"), ("launcher", "last"), ("worker-0", "first"), ("worker-0", "last"),
    ]  # fmt: skip


def test_pods_of_a_restarted_job_are_followed_too() -> None:
    states = iter([[make_pod("worker", uid="a")], [make_pod("worker", uid="b")], [make_pod("worker", uid="b")]])
    ends = iter([False, False, True])
    lines = list(follow_logs(lambda: next(states), lambda: next(ends), read))
    assert len(lines) == 6


def test_a_log_whose_connection_drops_goes_on_where_it_ended() -> None:
    failures = iter([True, True, False])

    def dropping(pod: Object, follow: bool) -> Iterator[str]:
        yield from ("one", "two")
        if next(failures):
            raise Unreachable("reset")
        yield "three"

    lines = list(follow_logs(lambda: [make_pod("launcher")], lambda: True, dropping))
    assert [line.text for line in lines] == ["one", "two", "three"]


def test_the_last_lines_of_a_log_whose_connection_drops_are_not_mistaken_for_its_first() -> None:
    answers = iter([(["old", "one", "two"], Unreachable("reset")), (["two", "three"], None)])

    def dropping(pod: Object, follow: bool) -> Iterator[str]:
        lines, error = next(answers)
        yield from lines
        if error:
            raise error

    lines = list(follow_logs(lambda: [make_pod("launcher")], lambda: True, dropping, tailed=True))
    note = "(connection lost, lines may be repeated or missing: reset)"
    assert [line.text for line in lines] == ["old", "one", "two", note, "two", "three"]


def test_an_api_server_that_is_away_is_asked_again_and_a_deleted_job_ends_the_following() -> None:
    answers = iter([Unreachable("away"), NotFound("gone")])

    def has_ended() -> bool:
        raise next(answers)

    assert list(follow_logs(lambda: [make_pod("launcher")], has_ended, read)) == []


def test_no_more_logs_are_followed_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_PODS", 2)
    release = threading.Event()

    def wait(pod: Object, follow: bool) -> Iterator[str]:
        assert release.wait(10)
        yield "line"

    seen = []
    pods = [make_pod("worker", index) for index in range(4)]
    for line in follow_logs(lambda: pods, release.is_set, wait):
        seen.append(line)
        release.set()
    assert seen[0].source == "worker-2" and "not followed" in seen[0].text
    assert {line.source for line in seen[1:3]} == {"worker-0", "worker-1"}


def test_each_line_has_its_pod_and_only_colors_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, color_system="standard", highlight=False, width=40)
    monkeypatch.setattr(logs, "out", console)
    lines = [
        LogLine("launcher", "ready [x]"),
        LogLine("worker-0", "\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b[2Jrest"),
        LogLine("worker-1", "10 %\r20 %"),
    ]
    logs.print_lines(iter(lines))
    first, second, third = output.getvalue().splitlines()
    assert "launcher  │ " in first and first.endswith("ready [x]")
    assert "\x1b[31mred" in second and "\x1b]" not in second and "\x1b[2J" not in second
    assert third.endswith("20 %") and "10 %" not in third


def test_workers_that_follow_each_other_have_different_colors() -> None:
    colors = [logs.color_of(f"worker-{index}") for index in range(8)]
    assert len(set(colors)) == 8
    assert logs.color_of("worker-8") == colors[0] and logs.color_of("launcher") not in colors
