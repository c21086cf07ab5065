"""Processes of new workers: they wait for a place in an epoch at Horovod's rendezvous, once they have imported it."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fairlead_trainer.backends import BACKENDS
from fairlead_trainer.membership import MemberId

from .test_elastic_rendezvous import Server, rank


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a rendezvous of workers 0 and 1, which have begun an epoch."""
    server = Server()
    server.begin(0, server.member(0), server.member(1))
    yield server
    server.rendezvous.stop()


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextlib.contextmanager
def waiting_process(server: Server, worker: int) -> Iterator[None]:
    """Wait for a place as a process that dies then."""
    place, own = (f"{server.network}.1", server.port), (f"{server.network}.{10 + worker}", 0)
    before = len(server.arrived)
    with socket.create_connection(place, source_address=own) as connection:
        connection.sendall(f"GET /rank_and_size/worker-{worker}:0 HTTP/1.1\r\n\r\n".encode())
        until(lambda: len(server.arrived) > before)
        yield


def test_the_processes_of_new_workers_wait_for_the_first_epoch_that_has_a_place_for_them() -> None:
    server = Server()
    for worker in (0, 1):
        server.prepare(server.member(worker))
    first, second = server.ask(0), server.ask(1)
    assert [(id_.worker, epoch) for id_, epoch, _ in server.arrived] == [(0, -1), (1, -1)]
    server.begin(0, server.member(0), held=(server.member(1),))
    assert rank(first) == 0
    assert second.empty()
    server.begin(1, server.member(0), server.member(1))
    assert rank(second) == 1
    server.rendezvous.stop()


def test_a_process_that_dies_while_it_waits_is_gone_and_the_next_life_of_its_worker_waits_anew(server: Server) -> None:
    server.prepare(server.member(2))
    with waiting_process(server, 2):
        server.rendezvous.look()
        assert server.gone == []
    until(lambda: server.rendezvous.look() or server.gone)
    assert server.gone == [MemberId(2, "agent-2-1")]
    server.prepare(server.member(2, life=2))
    answer = server.ask(2)
    assert server.arrived[-1] == (MemberId(2, "agent-2-2"), 0, True)
    server.begin(1, server.member(0), server.member(2, life=2))
    assert (rank(answer), len(server.gone)) == (1, 1)


def test_dead_processes_are_reported_before_the_last_one_that_an_epoch_waits_for(server: Server) -> None:
    gone_before: list[list[int]] = []
    with waiting_process(server, 0):
        known = server.rendezvous._server  # type: ignore[attr-defined]
        known.arrived = lambda *_: gone_before.append([id_.worker for id_ in server.gone])
    threading.Thread(target=server.request, args=("GET", "rank_and_size/worker-1:0", None, 11), daemon=True).start()
    until(lambda: gone_before)
    assert gone_before == [[0]]


def test_a_process_of_an_earlier_life_of_a_new_worker_has_no_place(server: Server) -> None:
    server.prepare(server.member(2))
    earlier = server.ask(2)
    server.prepare(server.member(2, life=2))
    assert rank(earlier) == -1


@pytest.mark.parametrize("host", [11, 15], ids=["the same address", "another address"])
def test_the_next_life_of_a_member_waits_as_itself_while_the_epoch_of_the_earlier_one_goes_on(
    server: Server, host: int
) -> None:
    next_life = replace(server.member(1, life=2), address=f"{server.network}.{host}")
    server.prepare(next_life)
    answer = server.ask(1, host=host)
    assert server.arrived == [(MemberId(1, "agent-1-2"), 0, True)]
    server.begin(1, server.member(0), held=(next_life,))
    assert answer.empty()
    server.begin(2, server.member(0), next_life)
    assert rank(answer) == 1


SCRIPT = """
import os, horovod.common.basics as basics

class Basics(basics.HorovodBasics):
    def __init__(self): "without a library: what fails comes after the wait"

assert os.environ["HOROVOD_RANK"] == "-1"
try:
    Basics().init()
except AttributeError:
    print(*(os.environ["HOROVOD_" + name] for name in "RANK SIZE LOCAL_RANK LOCAL_SIZE CROSS_RANK CROSS_SIZE".split()))
import hidden
assert hidden.runs == 1
"""
HIDDEN = """
import importlib.machinery, importlib.util, sys, types

hidden = sys.modules.setdefault("hidden", types.ModuleType("hidden"))
hidden.runs = getattr(hidden, "runs", 0) + 1
others = [path for path in sys.path if path not in __file__]
spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
if spec is not None:
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
"""
"""A sitecustomize that also runs the one that it hides, such as the local cluster's."""


@pytest.mark.parametrize("placed", [True, False])
def test_a_process_without_a_rank_waits_in_horovods_init_for_one(placed: bool, tmp_path: Path) -> None:
    server = Server(slots=2)
    # this test's processes have the machine's address
    member = replace(server.member(0), peer="127.0.0.1")
    environment = server.prepare(member)[1]
    (tmp_path / "sitecustomize.py").write_text(HIDDEN)
    variables = {**os.environ, **environment, "PYTHONPATH": str(tmp_path)}
    variables |= BACKENDS["horovod"].extend(variables)
    command = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: server.arrived or process.poll() is not None)
        assert [complete for _, _, complete in server.arrived] == [False]
        if placed:
            server.begin(0, member)
        else:
            server.rendezvous.stop()
        output, errors = process.communicate(timeout=60)
    if placed:
        assert (process.returncode, output.split()) == (0, ["1", "2", "1", "2", "0", "1"]), errors
        assert "Error in sitecustomize" not in errors
        server.rendezvous.stop()
    else:
        assert process.returncode == 1
        assert "the elastic run has no place for this process" in errors


def test_a_process_whose_rendezvous_is_gone_fails_and_says_so() -> None:
    server = Server()
    environment = server.prepare(server.member(0))[0]
    server.rendezvous.stop()
    variables = {**os.environ, **environment}
    variables |= BACKENDS["horovod"].extend(variables)
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"Horovod's rendezvous at {server.network}.1:{server.port} does not answer" in done.stderr


def test_a_process_with_a_rank_starts_as_python_does() -> None:
    assert BACKENDS["horovod"].extend({"HOROVOD_RANK": "0", "PYTHONPATH": "/x"}) == {}
