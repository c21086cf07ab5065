"""Horovod's key-value server: it answers the job's own workers only, within bounds."""

import http.client
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fairlead_trainer.backends import BACKENDS
from fairlead_trainer.backends.base import Launch, Member, Rendezvous

_NETWORKS = itertools.count(1)


@dataclass
class Running:
    """A rendezvous of two workers, and how to reach it."""

    rendezvous: Rendezvous
    network: str
    port: int

    def request(
        self, method: str, path: str, body: bytes | None = None, *, host: int = 10, length: str | None = None
    ) -> int:
        """Send a request from a host of the network; return the status."""
        source = (f"{self.network}.{host}", 0)
        connection = http.client.HTTPConnection(f"{self.network}.1", self.port, timeout=30, source_address=source)
        try:
            connection.putrequest(method, path)
            connection.putheader("Content-Length", length or str(len(body or b"")))
            connection.endheaders(body)
            return connection.getresponse().status
        finally:
            connection.close()


@pytest.fixture
def running() -> Iterator[Running]:
    network = f"127.{os.getpid() % 200 + 20}.{next(_NETWORKS) + 200}"
    members = [Member(worker, f"{network}.{10 + worker}", "lo", 1, f"{network}.{20 + worker}") for worker in (0, 1)]
    rendezvous = BACKENDS["horovod"].begin(Launch("job", 0, f"{network}.1", f"{network}.1"))
    slots = rendezvous.assign(members, 0)
    yield Running(rendezvous, network, int(slots[0][0].environment["HOROVOD_GLOO_RENDEZVOUS_PORT"]))
    rendezvous.stop()


def test_workers_exchange_values(running: Running) -> None:
    assert running.request("GET", "/global/0") == 404
    assert running.request("PUT", "/global/0", b"address") == 200
    assert running.request("GET", "/global/0", host=11) == 200
    assert running.request("DELETE", "/global/0") == 200


def test_a_worker_may_connect_from_where_it_registered(running: Running) -> None:
    assert running.request("PUT", "/global/0", b"address", host=20) == 200


def test_other_hosts_are_not_answered(running: Running) -> None:
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        running.request("PUT", "/global/0", b"forged", host=99)
    assert running.request("GET", "/global/0") == 404


def test_the_launchers_files_are_not_served(running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert running.request("HEAD", "/secret") == 501
    assert running.request("GET", "/secret") == 400


@pytest.mark.parametrize("path", ["/", "/global", "/a/b/c", "/" + "x" * 300 + "/0"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_path_that_is_no_scope_and_key_is_rejected(running: Running, method: str, path: str) -> None:
    assert running.request(method, path, b"") == 400


@pytest.mark.parametrize(("length", "status"), [("1000000000", 413), ("-1", 411), ("many", 411)])
def test_a_value_out_of_bounds_is_rejected_unread(running: Running, length: str, status: int) -> None:
    assert running.request("PUT", "/global/0", b"", length=length) == status


def fill(running: Running, value: bytes) -> None:
    """Store a value under more and more keys of a scope until there is no place for another one."""
    for key in range(2000):
        status = running.request("PUT", f"/mine/{key}", value)
        if status != 200:
            break
    assert (status, key > 100) == (507, True)


def test_all_values_together_are_bounded_and_deleted_ones_do_not_count(running: Running) -> None:
    value = b"x" * 65536
    fill(running, value)
    assert running.request("PUT", "/mine/0", value) == 200  # replacing needs no more
    assert running.request("DELETE", "/mine/1") == 200
    assert running.request("PUT", "/mine/again", value) == 200


def test_a_value_counts_no_more_once_it_is_deleted_before_the_deletion_is_answered(running: Running) -> None:
    value = b"x" * 65536
    fill(running, value)
    server = running.rendezvous._server
    with server.cache_lock:
        del server.cache["mine"]["1"]
    assert running.request("PUT", "/mine/again", value) == 200
    assert running.request("PUT", "/mine/more", value) == 507


def test_a_large_job_may_store_what_it_needs() -> None:
    from fairlead_trainer.backends.horovod_server import total_limit, value_limit

    # Gloo publishes an address of 136 bytes for each pair of ranks, in three contexts.
    assert value_limit(512) > 512 * 136
    assert total_limit(512) > 3 * 512 * 512 * 136
