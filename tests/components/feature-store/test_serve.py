"""The look-up as a server of the Open Inference Protocol v2, and as a node of a real graph."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fairlead_artifacts import publish

from tests.support.onnx_models import model, node
from tests.support.ports import free_port

from .conftest import HISTORY, Place, at, make_place, weather

START_SECONDS = 60
AT_NOON = "2024-05-01T12:30:00Z"
Answer = tuple[int, Any]


def ask(port: int, method: str, path: str, document: Any = None) -> Answer:
    """Send a request; return the status and the parsed answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, document if isinstance(document, bytes) else json.dumps(document))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def column(name: str, datatype: str, *values: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(values), 1], "data": list(values)}


def wait_for(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + START_SECONDS
    while not holds():
        assert time.monotonic() < end, f"not within {START_SECONDS} s"
        time.sleep(0.05)


def answers(port: int, process: "subprocess.Popen[bytes]", log: Path, status: int) -> bool:
    """Return whether a server says that it is ready, or that it is not; raise AssertionError if it has ended."""
    assert process.poll() is None, log.read_text()
    try:
        return ask(port, "GET", "/v2/health/ready")[0] == status
    except OSError:
        return False


@contextmanager
def running(argv: list[str], port: int, log: Path, ready: int = 200) -> Iterator[int]:
    """Run a server during the block; its log is printed where it does not become ready."""
    environment = {**os.environ, "FAIRLEAD_BIND_ADDRESS": "127.0.0.1", "FAIRLEAD_DRAIN_SECONDS": "0"}
    with log.open("wb") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, env=environment)
    try:
        wait_for(lambda: answers(port, process, log, ready))
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


@contextmanager
def serving_features(place: Place, set_: str, *words: str, ready: int = 200) -> Iterator[int]:
    """Serve a set of the place's features at noon."""
    port = free_port()
    argv = [sys.executable, "-m", "fairlead_feature_store.main", "serve", "--definitions", place.uris["definitions"]]
    argv += ["--store", str(place.store), "--set", set_, "--port", str(port), "--now", AT_NOON, *words]
    with running(argv, port, place.folder / "features.log", ready):
        yield port


@dataclass(frozen=True)
class Served:
    """A place whose features are in the online store, and a server of its set `air`."""

    place: Place
    port: int

    def infer(self, *values: Any, kind: str = "BYTES", name: str = "origin") -> Answer:
        """Ask for the features of airports."""
        return ask(self.port, "POST", "/v2/models/air/infer", {"inputs": [column(name, kind, *values)]})


@pytest.fixture(scope="module")
def air(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The server, shared by these tests, whose store is empty when it starts."""
    place = make_place(tmp_path_factory.mktemp("air"))
    place.publish("weather", weather=weather([*HISTORY, ("BOS", "1 08:00", "1 08:10", 1.0)]))
    with serving_features(place, "air", "--max-rows", "3", ready=503) as port:
        assert place.run("apply") == 0
        assert place.run("materialize", "--until", AT_NOON) == 0
        served = Served(place, port)
        wait_for(lambda: served.infer("JFK")[0] == 200)
        yield served


def test_features_are_found_by_keys_as_the_join_finds_them(place: Place) -> None:
    assert place.run("apply") == 0
    assert place.run("materialize", "--until", AT_NOON) == 0
    keys = [("JFK", 1), ("LGA", 2), ("JFK", 9), ("JFK", 1)]
    with serving_features(place, "both", "--name", "features") as port:
        status, metadata = ask(port, "GET", "/v2/models/features")
        inputs = [
            column("flight", "INT64", *(key[1] for key in keys)),
            column("origin", "BYTES", *(k[0] for k in keys)),
        ]
        answered, answer = ask(port, "POST", "/v2/models/features/infer", {"inputs": inputs, "id": "7"})
    assert status == 200
    assert metadata["inputs"] == [
        {"name": "origin", "datatype": "BYTES", "shape": [-1, 1]},
        {"name": "flight", "datatype": "INT64", "shape": [-1, 1]},
    ]
    assert (answered, answer["id"]) == (200, "7")
    served = {output["name"]: output["data"] for output in answer["outputs"]}
    rows = pd.DataFrame(keys, columns=["origin", "flight"]).assign(event_timestamp=at("1 12:30"))
    assert place.join(rows, "both") == 0
    joined = place.read_joined()
    assert served == {name: joined[name].tolist() for name in served}
    assert [(output["name"], output["datatype"]) for output in metadata["outputs"]] == [
        ("weather__temp", "FP32"), ("plan__seats", "INT64"), ("plan__maker", "BYTES"),
    ]  # fmt: skip
    assert served["plan__maker"] == ["Airbus", "unknown", "unknown", "Airbus"]


def test_what_has_no_answer_is_explained(air: Served) -> None:
    error = {"error": "weather:temp: origin='XXX': the online store has no such entity"}
    assert air.infer("JFK", "XXX") == (400, error)
    error = {"error": "weather:temp: origin='EWR': has no value, and the feature has no default"}
    assert air.infer("EWR") == (400, error)
    assert air.infer(*["JFK"] * 4) == (400, {"error": "inputs: got 4 rows, expected 1 to 3"})
    assert air.infer()[0] == 400
    assert air.infer(7, kind="INT64") == (400, {"error": "inputs[0].datatype: got 'INT64', expected BYTES"})
    assert air.infer("JFK", name="airport")[0] == 400
    assert ask(air.port, "POST", "/v2/models/air/infer", b"[" * 100_000)[0] == 400
    assert ask(air.port, "POST", "/v2/models/other/infer", {})[0] == 404
    assert air.infer("JFK")[0] == 200, "it goes on"


def test_features_older_than_their_ttl_are_unavailable(air: Served) -> None:
    error = {"error": "weather:temp: origin='BOS': is 16200 s old, expected at most 14400"}
    assert air.infer("BOS") == (503, error)


def test_features_of_a_later_time_than_the_replay_s_are_unavailable(air: Served) -> None:
    with serving_features(air.place, "air", "--now", "2024-05-01T10:30:00Z") as port:
        request = {"inputs": [column("origin", "BYTES", "JFK")]}
        error = {
            "error": "weather:temp: origin='JFK': is of 2024-05-01T11:00:00+00:00, expected an event that has happened"
        }
        assert ask(port, "POST", "/v2/models/air/infer", request) == (503, error)


def test_a_store_that_is_away_is_unavailable_and_comes_back(air: Served) -> None:
    database = air.place.database
    away = database.rename(air.place.folder / "away.db")
    try:
        status, answer = air.infer("JFK")
        assert (status, answer["error"].partition(":")[0]) == (503, "the online store does not answer")
        assert not database.exists(), "none is made"
        database.write_bytes(b"")  # as one that is new, to which nothing is applied
        error = "the online store does not answer: OperationalError: no such table: hand_weather"
        assert air.infer("JFK") == (503, {"error": error})
        # readiness is checked every few seconds
        wait_for(lambda: ask(air.port, "GET", "/v2/health/ready") == (503, {"ready": False, "reason": error}))
    finally:
        away.rename(database)
    assert air.infer("JFK")[0] == 200
    wait_for(lambda: ask(air.port, "GET", "/v2/health/ready")[0] == 200)


def test_definitions_that_cannot_be_served_end_the_server(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.run("serve", "--set", "water") == 1
    assert "sets: got 'water', expected one of air, both" in capsys.readouterr().err


def test_a_graph_looks_features_up_for_its_model(air: Served, tmp_path: Path) -> None:
    with serving_graph(air, tmp_path, "FP32") as port:
        _, metadata = ask(port, "GET", "/v2/models/graph")
        assert [tensor["name"] for tensor in metadata["inputs"]] == ["origin"]
        status, answer = infer_graph(port, "LGA", "JFK")
        assert (status, answer["outputs"][0]["data"]) == (200, [-22.0, -13.0])
        status, answer = infer_graph(port, "XXX")
        assert (status, "the online store has no such entity" in answer["error"]) == (400, True)
        away = air.place.database.rename(tmp_path / "away.db")
        try:
            status, answer = infer_graph(port, "JFK")
        finally:
            away.rename(air.place.database)
        assert (status, "the online store does not answer" in answer["error"]) == (503, True)
        assert infer_graph(port, "JFK")[0] == 200


def test_a_graph_whose_model_wants_other_features_is_rejected(air: Served, tmp_path: Path) -> None:
    rejected = pytest.raises(AssertionError, match="node features returns FP32, expected INT64")
    with rejected, serving_graph(air, tmp_path, "INT64"):
        pass


def infer_graph(port: int, *values: str) -> Answer:
    return ask(port, "POST", "/v2/models/graph/infer", {"inputs": [column("origin", "BYTES", *values)]})


@contextmanager
def serving_graph(air: Served, folder: Path, datatype: str) -> Iterator[int]:
    """Serve a graph of the features and a model that negates the temperature."""
    command = shutil.which("fairlead-graph-server")
    assert command, "fairlead-graph-server: not on PATH, set up the environment `graph-server`"
    source = folder / "model"
    source.mkdir()
    ports = [(name, datatype, ["n", 1]) for name in ("weather__temp", "cold")]
    (source / "model.onnx").write_bytes(model([node("Neg", ["weather__temp"], ["cold"])], ports[:1], ports[1:]))
    uri = f"{folder.as_uri()}/store/model"
    publish(source, uri, kind="onnx-model", producer="tests/0")
    graph = {
        "name": "features", "type": "TRANSFORMER", "protocol": "v2", "modelName": "air",
        "endpoint": {"host": "127.0.0.1", "port": air.port, "type": "REST"},
        "children": [{"name": "model", "type": "MODEL", "modelUri": uri}],
    }  # fmt: skip
    file, port = folder / "graph.json", free_port()
    file.write_text(json.dumps({"deployment": "graph", "predictor": "main", "namespace": "default", "graph": graph}))
    with running([command, "--graph", str(file), "--port", str(port)], port, folder / "graph.log"):
        yield port
