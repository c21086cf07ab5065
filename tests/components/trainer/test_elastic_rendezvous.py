"""Horovod's elastic rendezvous: who gets a place in the next epoch, and what a process may say of where it listens."""

import base64
import itertools
import os
import pickle
import pickletools
import queue
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import cloudpickle
import pytest
from fairlead_trainer.backends import BACKENDS
from fairlead_trainer.backends.base import Launch, Member, Rendezvous
from fairlead_trainer.backends.horovod_listener import Listener, ListenerError, read_listener
from fairlead_trainer.membership import MemberId

_NETWORKS = itertools.count(1)
KEY = b"k" * 32


def report(*places: tuple[str, int], key: Any = KEY) -> bytes:
    """Return what Horovod's processes report."""
    return base64.b64encode(cloudpickle.dumps(({"eth0": list(places)}, key), protocol=pickle.HIGHEST_PROTOCOL))


class Server:
    """An elastic rendezvous, and how processes reach it."""

    def __init__(self, slots: int = 1) -> None:
        self.network = f"127.{os.getpid() % 200 + 20}.{next(_NETWORKS) + 100}"
        self.slots = slots
        self.arrived: list[tuple[MemberId, int, bool]] = []
        self.gone: list[MemberId] = []
        address = f"{self.network}.1"
        launch = Launch(
            "job",
            0,
            address,
            address,
            True,
            lambda *event: self.arrived.append(event),
            lambda id_: self.gone.append(id_),
        )
        self.rendezvous: Rendezvous = BACKENDS["horovod"].begin(launch)
        self.port = 0

    def member(self, worker: int, life: int = 1) -> Member:
        return Member(worker, f"{self.network}.{10 + worker}", "lo", self.slots, "", instance=f"agent-{worker}-{life}")

    def begin(self, epoch: int, *members: Member, held: tuple[Member, ...] = ()) -> None:
        slots = self.rendezvous.assign(members, epoch, held)
        self.port = int(slots[members[0].worker][0].environment["HOROVOD_GLOO_RENDEZVOUS_PORT"])

    def prepare(self, member: Member) -> list[dict[str, str]]:
        environments = [slot.environment for slot in self.rendezvous.prepare(member)]
        self.port = int(environments[0]["HOROVOD_GLOO_RENDEZVOUS_PORT"])
        return environments

    def ask(self, worker: int, slot: int = 0, host: int | None = None) -> "queue.SimpleQueue[str]":
        """Ask for the place of a process in the next epoch; return where the answer will be."""
        answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        before = len(self.arrived)

        def wait() -> None:
            answers.put(self.request("GET", f"rank_and_size/worker-{worker}:{slot}", host=host or 10 + worker).decode())

        threading.Thread(target=wait, daemon=True).start()
        end = time.monotonic() + 20
        while len(self.arrived) == before and answers.empty():
            assert time.monotonic() < end
            time.sleep(0.01)
        return answers

    def request(self, method: str, path: str, body: bytes | None = None, host: int = 10) -> bytes:
        class From(urllib.request.HTTPHandler):
            def http_open(handler, request: Any) -> Any:
                source = (f"{self.network}.{host}", 0)
                return handler.do_open(http_connection, request, source_address=source)

        from http.client import HTTPConnection as http_connection

        request = urllib.request.Request(f"http://{self.network}.1:{self.port}/{path}", data=body, method=method)
        answer: bytes = urllib.request.build_opener(From).open(request, timeout=30).read()
        return answer


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a rendezvous of workers 0 and 1."""
    server = Server()
    server.begin(0, server.member(0), server.member(1))
    yield server
    server.rendezvous.stop()


def rank(answer: "queue.SimpleQueue[str]") -> int:
    return int(answer.get(timeout=20).split(",")[0])


def test_processes_wait_for_the_next_epoch_and_keep_their_order(server: Server) -> None:
    second, first = server.ask(1), server.ask(0)
    assert server.arrived == [(MemberId(w, f"agent-{w}-1"), 0, True) for w in (1, 0)]
    assert second.empty()
    server.begin(1, server.member(0), server.member(1), server.member(2))
    assert [rank(first), rank(second)] == [0, 1]


def test_a_process_that_leaves_its_epoch_late_waits_for_the_next_epoch_that_has_a_place_for_it() -> None:
    server = Server(slots=2)
    server.begin(0, *(server.member(worker) for worker in range(3)))
    early = server.ask(2, 0)
    server.begin(1, server.member(0), held=(server.member(1), server.member(2)))
    late = server.ask(2, 1)
    assert server.arrived[-1] == (MemberId(2, "agent-2-1"), 1, True)
    assert early.empty()
    assert late.empty()
    server.begin(2, server.member(0), server.member(2), held=(server.member(1),))
    assert [rank(early), rank(late)] == [2, 3]
    never = server.ask(1)
    server.begin(3, server.member(0))
    assert rank(never) == -1
    server.rendezvous.stop()


def test_a_member_has_arrived_once_all_its_processes_have() -> None:
    server = Server(slots=2)
    server.begin(0, server.member(0))
    answers = [server.ask(0, 1), server.ask(0, 0)]
    assert [complete for _, _, complete in server.arrived] == [False, True]
    server.begin(1, server.member(0))
    assert [rank(answer) for answer in answers] == [1, 0]
    server.rendezvous.stop()


def test_a_process_of_a_worker_that_is_lost_has_no_place_even_if_another_pod_has_its_number(server: Server) -> None:
    lost, other = server.ask(1), server.ask(0)
    server.begin(1, server.member(0), server.member(1, life=2))
    assert (rank(lost), rank(other)) == (-1, 0)


def test_a_process_from_another_address_than_its_workers_has_no_place(server: Server) -> None:
    assert rank(server.ask(1, host=10)) == -1
    assert rank(server.ask(1, slot=1)) == -1
    assert rank(server.ask(7, host=10)) == -1
    assert server.arrived == []


def test_processes_that_wait_at_the_end_have_no_place(server: Server) -> None:
    answer = server.ask(0)
    server.rendezvous.stop()
    assert rank(answer) == -1


def test_members_of_the_last_epoch_may_ask_and_those_before_may_not(server: Server) -> None:
    server.begin(1, server.member(0))
    assert rank(server.ask(1)) == -1
    server.begin(2, server.member(0))
    with pytest.raises(OSError):
        server.request("GET", "rank_and_size/worker-1:0", host=11)


def test_a_notice_reaches_the_first_process_at_its_own_address_and_never_names_removals_alone(server: Server) -> None:
    from horovod.runner.elastic.worker import HostUpdateResult, WorkerNotificationService

    notices: queue.SimpleQueue[tuple[float, int]] = queue.SimpleQueue()

    class Manager:
        def handle_hosts_updated(self, since: float, result: int) -> None:
            notices.put((since, result))

    service = WorkerNotificationService(KEY, "lo", Manager())
    try:
        places = report(("203.0.113.9", service.get_port()), ("203.0.113.9", service.get_port()))
        server.request("PUT", "worker_addresses/worker-0:0", places)
        server.rendezvous.announce([server.member(0), server.member(1)], 77.5)
        assert notices.get(timeout=20) == (77.5, HostUpdateResult.mixed)
    finally:
        service.shutdown()


def test_the_launcher_does_not_wait_for_a_process_that_does_not_answer(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead_trainer.backends.horovod_notice._SECONDS", 300.0)
    with socket.create_server((f"{server.network}.10", 0)) as silent:
        server.request("PUT", "worker_addresses/worker-0:0", report(("x", silent.getsockname()[1])))
        notices = set()
        for since in (1.0, 2.0):
            server.rendezvous.announce([server.member(0)], since)
            notices.add(server.rendezvous._notice)  # type: ignore[attr-defined]
        (notice,) = notices
        assert notice.is_alive()
    notice.join()


def test_what_a_process_says_is_forgotten_with_its_worker(server: Server) -> None:
    for worker in (0, 1, 9):
        server.request("PUT", f"worker_addresses/worker-{worker}:0", report(("x", 7)))
    server.request("PUT", "worker_addresses/worker-0:0", b"nonsense")
    known = server.rendezvous._server  # type: ignore[attr-defined]
    assert [known.find_listener(worker) for worker in (0, 1, 9)] == [Listener(7, KEY)] * 2 + [None]
    server.begin(1, server.member(0), server.member(1, life=2))
    assert [known.find_listener(worker) for worker in (0, 1)] == [Listener(7, KEY), None]


def test_a_report_of_several_interfaces_is_read() -> None:
    content = ({"lo": [("127.0.0.1", 4711)], "eth0": [("10.0.0.1", 4711), ("10.0.0.2", 4711)], "eth1": []}, KEY)
    for protocol in (4, 5):
        value = base64.b64encode(pickle.dumps(content, protocol=protocol))
        assert read_listener(value) == Listener(4711, KEY)


class Evil:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> Any:
        return os._exit, (3,)


def _encode(program: bytes) -> bytes:
    return base64.b64encode(program)


@pytest.mark.parametrize(
    ("reason", "value"),
    [
        ("no base64", b"\xff"),
        ("too long", base64.b64encode(b"x" * 9000)),
        ("empty", b""),
        ("code", report(("x", 7), key=Evil())),
        ("a port out of range", report(("x", 65536))),
        ("a negative port", report(("x", -1))),
        ("a port that is true", report(("x", True))),
        ("two ports", report(("x", 7), ("x", 8))),
        ("no port", report()),
        ("an empty key", report(("x", 7), key=b"")),
        ("a long key", report(("x", 7), key=b"k" * 257)),
        ("a text as key", report(("x", 7), key="k")),
        ("another shape", _encode(pickle.dumps([1, 2]))),
        ("no end", _encode(pickle.dumps(({}, KEY))[:-1])),
        ("a large memo index", _encode(b"\x80\x04}r\xff\xff\xff\x7f.")),
        ("an unknown memo index", _encode(b"\x80\x04h\x09.")),
        ("an empty stack", _encode(b"\x80\x04a.")),
        ("a missing mark", _encode(b"\x80\x04]e.")),
        ("a list as key", _encode(b"\x80\x04}]K\x01s.")),
        ("many instructions", _encode(b"\x80\x04" + b"]" * 2000 + b".")),
        ("a value in a number", _encode(b"\x80\x04K\x01K\x01a.")),
    ],
)
def test_any_other_report_is_rejected_and_nothing_is_called(reason: str, value: bytes) -> None:
    with pytest.raises(ListenerError, match=r"got|expected"):
        read_listener(value)


def test_every_mutation_of_a_report_is_read_or_rejected() -> None:
    program = base64.b64decode(report(("127.0.0.1", 4711)))
    for at in range(len(program)):
        for byte in range(256):
            mutated = program[:at] + bytes([byte]) + program[at + 1 :]
            try:
                assert 0 < read_listener(base64.b64encode(mutated)).port < 65536
            except ListenerError:
                continue


def test_horovods_own_report_uses_the_known_instructions_only() -> None:
    known = {opcode.name for opcode, _, _ in pickletools.genops(base64.b64decode(report(("127.0.0.1", 4711))))}
    assert "STACK_GLOBAL" not in known
    assert read_listener(report(("127.0.0.1", 4711))) == Listener(4711, KEY)
