"""The API key of a client: where it comes from, how it is sent, and that it is never said."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fairlead.cli.main import build_app
from fairlead.client import Denied, FairleadClient, Rejected
from fairlead.client.inference import build_headers, predict, send_directly
from typer.testing import CliRunner

from tests.unit.client.conftest import write_kubeconfig

KEY, WRONG = "the-key-of-the-tests", "a-key-that-is-not-known"
PROBLEM = "API key: expected a known one, as Authorization: Bearer <key> or X-API-Key: <key>"
OUTPUT = {"name": "y", "datatype": "FP32", "shape": [1, 1], "data": [0.5]}


class Cluster:
    """An API server that passes requests on to a model that asks for a key."""

    def __init__(self, config: Path, cluster_ip: str) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.denies = False
        self._address = cluster_ip
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                length = int(self.headers.get("Content-Length", "0"))
                self.rfile.read(length)
                status, document = outer.answer(self.path, self.headers.get("X-API-Key"))
                content = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET

            def log_message(self, *words: Any) -> None:
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        write_kubeconfig(config, f"http://127.0.0.1:{self.server.server_port}")

    def answer(self, path: str, key: str | None) -> tuple[int, Any]:
        if self.denies:
            return 401, {"kind": "Status", "code": 401, "reason": "Unauthorized", "message": "Unauthorized"}
        if "/v2/models/" not in path:
            return 200, {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "digits"},
                         "spec": {"clusterIP": self._address}}  # fmt: skip
        if key != KEY:
            return 401, {"error": PROBLEM}
        metadata = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 1]}]}
        return 200, {"outputs": [OUTPUT]} if path.endswith("/infer") else metadata


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Return a cluster whose Service is reached through the API server."""
    made = Cluster(tmp_path / "config", "10.0.0.1")
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def client(cluster: Cluster, tmp_path: Path) -> FairleadClient:
    """Return a client of the cluster."""
    return FairleadClient(kubeconfig=tmp_path / "config")


def test_the_key_of_the_environment_is_sent_through_the_api_server(
    client: FairleadClient, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRLEAD_API_KEY", f"{KEY}\n")
    assert client.predict("digits", [[1.0]])["outputs"] == [OUTPUT]
    sent = [headers for path, headers in cluster.seen if "/v2/models/" in path]
    assert [headers["x-api-key"] for headers in sent] == [KEY, KEY]  # the metadata, and the request
    assert not any(KEY in path for path, _ in cluster.seen)
    assert "x-api-key" not in cluster.seen[0][1]  # what is for the API server alone


def test_a_key_of_the_call_comes_first(client: FairleadClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_API_KEY", WRONG)
    assert client.predict("digits", [[1.0]], api_key=KEY)["outputs"] == [OUTPUT]


@pytest.mark.parametrize("key", ["", WRONG])
def test_without_a_known_key_the_error_names_the_variable_and_not_the_key(
    client: FairleadClient, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("FAIRLEAD_API_KEY", key)
    with pytest.raises(Denied) as caught:
        client.predict("digits", [[1.0]])
    assert str(caught.value) == "ModelDeployment digits: expected an API key that it knows in FAIRLEAD_API_KEY"


def test_what_the_api_server_denies_is_not_blamed_on_the_key(client: FairleadClient, cluster: Cluster) -> None:
    cluster.denies = True
    with pytest.raises(Denied, match="401: Unauthorized"):
        client.predict("digits", [[1.0]], api_key=KEY)


@pytest.mark.parametrize("key", ["a key", "schlüssel", "key\r\nHost: other", "a\0b"])
def test_what_is_no_header_is_rejected_without_saying_it(key: str) -> None:
    with pytest.raises(Rejected) as caught:
        build_headers(key)
    assert str(caught.value) == "FAIRLEAD_API_KEY: got other characters, expected printable ASCII without spaces"


def test_no_key_is_no_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAIRLEAD_API_KEY", raising=False)
    assert build_headers() == {}
    monkeypatch.setenv("FAIRLEAD_API_KEY", " \n")
    assert build_headers() == {}


def test_the_command_sends_the_key_and_has_no_option_for_it(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "request.json"
    file.write_text("[[1.0]]")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("FAIRLEAD_API_KEY", KEY)
    ran = CliRunner().invoke(build_app(), ["predict", "digits", "-f", str(file)])
    assert ran.exit_code == 0, ran.output
    assert "0.5" in ran.output
    assert CliRunner().invoke(build_app(), ["predict", "digits", "-f", str(file), "--api-key", KEY]).exit_code == 2
    monkeypatch.setenv("FAIRLEAD_API_KEY", WRONG)
    ran = CliRunner().invoke(build_app(), ["predict", "digits", "-f", str(file)])
    assert ran.exit_code == 1
    assert WRONG not in ran.output
    assert cluster.seen


def test_a_service_on_this_machine_is_sent_the_key_directly(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "config", "127.0.0.1")
    try:
        send = send_directly(f"127.0.0.1:{cluster.server.server_port}", build_headers(KEY))
        assert predict("digits", [[1.0]], send)["outputs"] == [OUTPUT]
        assert cluster.seen[1][1]["content-type"] == "application/json"
        with pytest.raises(Denied, match="in FAIRLEAD_API_KEY"):
            predict("digits", [[1.0]], send_directly(f"127.0.0.1:{cluster.server.server_port}", {}))
    finally:
        cluster.server.shutdown()
        cluster.server.server_close()
