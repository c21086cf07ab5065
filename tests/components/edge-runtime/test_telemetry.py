"""Telemetry: what is counted, how it waits on the disk, and how it reaches a collector that comes and goes."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_contracts.reference import Numbers, Reference, TensorReference
from fairlead_edge.device.forwarding import Collector
from fairlead_edge.device.spool import Spool
from fairlead_edge.drift import BinnedDrift
from fairlead_edge.errors import InputUnusable
from fairlead_edge.sketch import Sketch

from tests.support.edge_devices import CASES, Device, publish_release
from tests.support.ports import free_port

BINS = Numbers(index=0, minimum=0.0, edges=(1.0, 2.0, 3.0, 4.0), counts=(250, 250, 250, 250))
REFERENCE = Reference(
    split="train", rows=1000, inputs=(TensorReference(name="x", datatype="FP32", width=1, columns=(BINS,)),)
)


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, 1)


def test_classes_and_confidence_are_counted_of_scores_and_of_probabilities() -> None:
    sketch = Sketch(None)
    sketch.add({}, [np.array([[0.15, 0.85], [0.75, 0.25], [0.0, 1.0]], np.float32)])
    found = sketch.take()
    assert (found["rows"], found["classes"]) == (3, {"0": 1, "1": 2})
    assert found["confidence"] == [0, 0, 0, 0, 0, 0, 0, 1, 1, 1]
    sketch.add({}, [np.array([[0.0, 0.0], [5.0, -5.0]], np.float32)])
    assert sketch.take()["confidence"] == [0, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    assert sketch.take()["rows"] == 0  # taken once


def test_scores_that_are_not_finite_are_no_class() -> None:
    sketch = Sketch(None)
    sketch.add({}, [np.array([[np.nan, 1.0], [np.inf, 0.0], [3.0, 0.0]], np.float32)])
    assert (found := sketch.take())["rows"] == 3
    assert found["classes"] == {"0": 1}


def test_drift_is_small_for_inputs_as_in_training_and_large_for_others() -> None:
    same, moved = Sketch(BinnedDrift(REFERENCE)), Sketch(BinnedDrift(REFERENCE))
    values = np.random.default_rng(1).uniform(0, 4, 2000)
    same.add({"x": column(*values)}, [column(*values)])
    moved.add({"x": column(*(values / 4))}, [column(*values)])
    assert same.take()["drift"]["x"]["psi"] < 0.05
    found = moved.take()["drift"]["x"]
    assert found["psi"] > 1
    assert found["column"] == 0


def test_inputs_of_another_width_or_none_are_not_counted() -> None:
    sketch = Sketch(BinnedDrift(REFERENCE))
    sketch.add({"x": np.ones((3, 2), np.float32)}, [np.ones((3, 2), np.float32)])
    sketch.add({"y": column(1)}, [column(1)])
    sketch.add({"x": np.float32(1).reshape(())}, [np.float32(1).reshape(())])
    assert sketch.take()["drift"] == {}


def test_the_oldest_records_make_room_and_are_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 500)
    for number in range(20):
        spool.add({"number": number, "text": "x" * 50})
    kept = [record["number"] for _, record in spool.read(100)]
    assert kept == list(range(20 - len(kept), 20))
    assert spool.dropped == 20 - len(kept)
    assert sum(file.stat().st_size for file in (tmp_path / "spool").iterdir()) <= 500
    spool.add({"text": "x" * 1000})  # longer than all that may wait
    assert spool.dropped == 21 - len(kept)
    again = Spool(tmp_path / "spool", 500)  # after a restart
    assert [record["number"] for _, record in again.read(100)] == kept
    again.add({"number": 99})
    assert [record["sequence"] for _, record in again.read(100)][-1] == 20


def test_a_damaged_record_is_removed(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 500)
    for number in range(3):
        spool.add({"number": number})
    names = [name for name, _ in spool.read(3)]
    (tmp_path / "spool" / names[1]).write_bytes(b"\0\0")
    assert [record["number"] for _, record in spool.read(3)] == [0, 2]
    assert spool.dropped == 1


@pytest.mark.parametrize("text", ["ftp://host/", "http://", "host:80", "http://user:secret@host/", "http://host:x/"])
def test_a_collector_is_an_address_of_http(text: str) -> None:
    with pytest.raises(InputUnusable, match=r"--telemetry: got .*, expected http"):
        Collector.parse(text)


@dataclass
class Received:
    """What a collector has got."""

    port: int
    status: int = 200
    batches: list[Any] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)

    @property
    def records(self) -> list[Any]:
        return [record for batch in self.batches for record in batch["records"]]


@pytest.fixture
def collector() -> Iterator[Received]:
    """Serve a collector that answers with a status of the test's choice."""
    received = Received(free_port())

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            batch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(received.status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            if received.status == 200:
                received.batches.append(batch)
                received.tokens.append(self.headers["Authorization"])

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", received.port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield received
    server.shutdown()
    thread.join()
    server.server_close()


def test_records_wait_while_the_collector_fails_and_arrive_in_order(
    tmp_path: Path, collector: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRLEAD_TELEMETRY_TOKEN", "a-token")
    device = Device(tmp_path / "state", tmp_path / "server.log")
    release = publish_release(tmp_path / "store", 1)
    device.install(release)
    collector.status = 503
    url = f"http://127.0.0.1:{collector.port}/telemetry"
    device.start("--telemetry", url, "--telemetry-interval", "0.3", "--device", "door-7")
    try:
        device.wait(release)
        assert device.answer()[0] == 200
        folder = device.state / "telemetry"
        device.wait_until(lambda: sum("requests" in file.read_text() for file in records_in(folder)) >= 3, "no records")
        collector.status = 200
        device.wait_until(lambda: count(collector) == 2 * len(CASES), "no telemetry")
    finally:
        device.stop()
    sequences = [record["sequence"] for record in collector.records]
    assert sequences == sorted(set(sequences))
    assert {batch["device"] for batch in collector.batches} == {"door-7"}
    assert set(collector.tokens) == {"Bearer a-token"}
    record = next(record for record in collector.records if record["requests"].get("ok"))
    assert record["digest"] == release.digest
    assert sum(record["latency"]) >= record["requests"]["ok"]
    assert "a-token" not in device.log.read_text()


def test_a_collector_that_never_ends_its_answer_keeps_neither_records_nor_the_end_of_the_server(tmp_path: Path) -> None:
    device = Device(tmp_path / "state", tmp_path / "server.log")
    release = publish_release(tmp_path / "store", 1)
    device.install(release)
    with socket.create_server(("127.0.0.1", 0)) as listener:  # it accepts, and says nothing
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        device.start("--telemetry", url, "--telemetry-interval", "0.2")
        try:
            device.wait(release)
            device.wait_until(lambda: len(records_in(device.state / "telemetry")) >= 4, "makes no records")
            assert device.process is not None
            device.process.terminate()
            assert device.process.wait(8) == 0
        finally:
            device.stop()


@pytest.mark.parametrize("token", ["a\nb", "é"])
def test_a_token_that_is_no_header_is_rejected_unseen(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("FAIRLEAD_TELEMETRY_TOKEN", token)
    with pytest.raises(InputUnusable) as caught:
        Collector.parse("http://host/")
    assert token not in str(caught.value)


def records_in(folder: Path) -> list[Path]:
    return [file for file in folder.glob("*") if file.name.isdecimal()] if folder.exists() else []


def count(collector: Received) -> int:
    """Return how many rows the telemetry has of requests: those of the self-test do not count."""
    return sum(record["seen"].get("rows", 0) for record in collector.records)
