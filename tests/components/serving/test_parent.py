"""The parent of the serving process: what ends the process is named, and what comes after it knows."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.components.serving import tiny_parent
from tests.support.processes import children_of

SIGFPE = "was ended by SIGFPE (an integer division that has no result)"
TIMEOUT_SECONDS = 60
FIRST = {"isolated": False, "lost": 0, "causes": {}}


def begin(how: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(Path(tiny_parent.__file__)), how]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(how: str) -> tuple[int, list[Any], str]:
    """Run a parent to its end; return its status, what its processes have printed, and its log."""
    with begin(how) as process:
        output, log = process.communicate(timeout=TIMEOUT_SECONDS)
    return process.returncode, [json.loads(line) for line in output.splitlines()], log


def test_the_status_of_a_process_that_exits_is_the_parents() -> None:
    assert run("exit")[:2] == (7, [FIRST])


def test_an_error_in_the_program_ends_the_server() -> None:
    status, lives, log = run("raise")
    assert (status, lives) == (1, [FIRST])
    assert "an error in the program" in log


@pytest.mark.parametrize(
    ("how", "cause", "isolated", "lost"),
    [
        ("crash-in-flight", SIGFPE, True, 3),
        ("crash-loading", SIGFPE, True, 0),
        ("crash-idle", SIGFPE, False, 0),
        ("crash-said", "said why", False, 0),
        ("stuck", "did not go on for 2 s", False, 0),
    ],
)
def test_a_process_that_dies_is_replaced_by_one_that_knows_why(how: str, cause: str, isolated: bool, lost: int) -> None:
    status, lives, log = run(how)
    assert status == 7
    assert lives[:2] == [FIRST, {"isolated": isolated, "lost": lost, "causes": {cause: 1}}]
    assert len(lives) == (2 if how == "stuck" else 3)
    assert log.count("the serving process is replaced") == len(lives) - 1


def test_a_process_that_dies_again_and_again_is_replaced_ever_later() -> None:
    begun = time.monotonic()
    _, lives, _ = run("crash-idle")
    assert lives[2]["causes"] == {SIGFPE: 2}
    assert time.monotonic() - begun > 1  # no pause after the first, a second after the second


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_once_the_parent_does_not_listen(number: signal.Signals) -> None:
    with begin("wait") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == FIRST
        time.sleep(0.5)  # until the process handles the signal
        process.send_signal(number)
        if number == signal.SIGINT:  # which it does not handle
            assert process.wait(TIMEOUT_SECONDS) == 1
        else:
            assert process.wait(TIMEOUT_SECONDS) == 0
        assert json.loads(process.stdout.read()) == "stopped listening"


def test_the_process_ends_with_its_parent() -> None:
    with begin("wait") as process:
        assert process.stdout is not None
        process.stdout.readline()
        (child,) = children_of(process.pid)
        process.kill()
        process.wait(TIMEOUT_SECONDS)
    end = time.monotonic() + TIMEOUT_SECONDS
    while Path(f"/proc/{child}").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
