"""The edge server under hostile requests and bundles: bounded, isolated, and quiet."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_artifacts import publish
from fairlead_contracts.edge_bundle import BundleDescription, Preprocessing
from fairlead_edge.main import main

from tests.support import onnx_models as onnx
from tests.support.ports import free_port

COMMAND = str(Path(sys.executable).with_name("fairlead-edge"))
PATH = "/v2/models/wind/infer"
LEAST = -(2**63)


def publish_bundle(folder: Path, model: bytes) -> str:
    """Publish a model as a bundle without quantization."""
    files, uri = folder / "files", (folder / "store" / "bundle").as_uri()
    files.mkdir(parents=True)
    (files / "model.onnx").write_bytes(model)
    description = BundleDescription(
        "wind", Preprocessing(), (), "onnx-int8", {"model.onnx": hashlib.sha256(model).hexdigest()}
    )
    (files / "bundle.json").write_text(description.to_text())
    publish(files, uri, kind="edge-bundle", producer="tests/0")
    return uri


def divider() -> bytes:
    """A model that divides its input by -1."""
    minus = onnx.tensor("minus", np.array(-1, np.int64))
    return onnx.model(
        [onnx.node("Div", ["x", "minus"], ["y"])], [("x", "INT64", ["n"])], [("y", "INT64", ["n"])], [minus]
    )


@pytest.fixture
def start(tmp_path: Path) -> Any:
    """Return a function that starts the server on a model and returns its process, port and log."""
    processes: list[subprocess.Popen[bytes]] = []

    def run(model: bytes, **environment: str) -> tuple[subprocess.Popen[bytes], int, Path]:
        port = free_port()
        command = [COMMAND, "serve", "--bundle", publish_bundle(tmp_path, model), "--port", str(port)]
        variables = {**os.environ, "FAIRLEAD_BIND_ADDRESS": "127.0.0.1", **environment}
        log = tmp_path / "log"
        with log.open("wb") as output:
            processes.append(subprocess.Popen(command, env=variables, stderr=output))
        return processes[-1], port, log

    yield run
    for process in processes:
        process.kill()
        process.wait()


def ask_int(ask: Callable[..., Any], port: int, value: int) -> tuple[int, Any]:
    tensor = {"name": "x", "datatype": "INT64", "shape": [1], "data": [value]}
    return ask(port, "POST", PATH, {"inputs": [tensor]})


def test_values_that_end_the_model_process_cost_one_request(start: Any, ask: Any, wait_ready: Any) -> None:
    process, port, log = start(divider())
    wait_ready(process, port, log)
    assert ask_int(ask, port, 7)[1]["outputs"][0]["data"] == [-7]
    status, answer = ask_int(ask, port, LEAST)
    assert (status, "the model process was ended by SIGFPE" in answer["error"]) == (500, True)
    assert ask_int(ask, port, 8)[1]["outputs"][0]["data"] == [-8]


def test_a_bundle_that_ends_its_process_is_rejected_by_serve_and_verify(start: Any, tmp_path: Path) -> None:
    tensors = [onnx.tensor("a", np.array(LEAST, np.int64)), onnx.tensor("b", np.array(-1, np.int64))]
    nodes = [onnx.node("Div", ["a", "b"], ["c"]), onnx.node("Add", ["x", "c"], ["y"])]
    process, _, log = start(onnx.model(nodes, [("x", "INT64", ["n"])], [("y", "INT64", ["n"])], tensors))
    assert process.wait(60) == 2
    assert "rejected: the bundle's model: the model process was ended by SIGFPE" in log.read_text()
    command = [COMMAND, "verify", "--bundle", (tmp_path / "store" / "bundle").as_uri()]
    verified = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (verified.returncode, "SIGFPE" in verified.stderr) == (2, True)


@pytest.mark.parametrize(
    ("file", "old", "new", "reason"),
    [
        ("manifest.json", b'"parameters":{}', b'"parameters":{"loss":NaN}', "NaN is not valid JSON"),
        ("manifest.json", b'"path":"model.onnx"', b'"path":"model\xff.onnx"', "'utf-8' codec can't decode"),
        ("manifest.json", b'"path":"model.onnx"', b'"path":"mod\\udcff.onnx"', "expected a printable string"),
        ("bundle.json", b'"wind"', b"NaN", "NaN is not valid JSON"),
        ("bundle.json", b'"wind"', b'"w\xff\xfe"', "'utf-8' codec can't decode"),
    ],
)
def test_nan_and_names_that_are_not_utf8_are_rejected_with_a_reason(
    tmp_path: Path, file: str, old: bytes, new: bytes, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = publish_bundle(tmp_path, onnx.scale(2.0, ["n"]))
    path = Path(uri.removeprefix("file://")) / file
    content = path.read_bytes().replace(old, new)
    assert content != path.read_bytes()
    path.write_bytes(content)
    if file == "bundle.json":  # published as it is, so that only its own content is wrong
        files = tmp_path / "files"
        (files / file).write_bytes(content)
        uri = (tmp_path / "store" / "other").as_uri()
        publish(files, uri, kind="edge-bundle", producer="tests/0")
    assert main(["verify", "--bundle", uri]) == 2
    error = capsys.readouterr().err
    assert error.startswith("fairlead-edge: rejected: ")
    assert reason in error


def test_external_data_is_not_read(start: Any, tmp_path: Path) -> None:
    weights = np.ones((3, 2), np.float32)
    for location in ("/etc/hostname", "../../etc/hostname", "w.bin"):
        model = onnx.model(
            [onnx.node("MatMul", ["x", "w"], ["y"])], [("x", "FP32", ["n", 3])], [("y", "FP32", ["n", 2])],
            [onnx.external_tensor("w", weights, location)],
        )  # fmt: skip
        folder = tmp_path / f"case-{location.replace('/', '_')}"
        (tmp_path / "w.bin").write_bytes(weights.tobytes())
        command = [COMMAND, "verify", "--bundle", publish_bundle(folder, model)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
        assert (done.returncode, "rejected" in done.stderr) == (2, True), done.stderr


def test_a_large_valid_request_leaves_no_memory_behind(start: Any, ask: Any, wait_ready: Any) -> None:
    process, port, log = start(onnx.scale(2.0, ["n"]))
    wait_ready(process, port, log)
    count = 4_000_000
    body = (
        f'{{"inputs": [{{"name": "x", "datatype": "FP32", "shape": [{count}], "data": [{"1.5," * (count - 1)}1.5]}}]}}'
    )
    assert ask(port, "POST", PATH, body.encode())[0] == 200
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in (process.pid, *children)]
    assert sum(pages) * 4096 < 400 * 2**20


def test_smuggled_and_chunked_requests(start: Any, ask: Any, wait_ready: Any) -> None:
    process, port, log = start(onnx.scale(2.0, ["n"]), FAIRLEAD_BODY_TIMEOUT_SECONDS="1")
    wait_ready(process, port, log)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n".encode()
    body = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [3]}]}).encode()
    length = b"Content-Length: %d\r\n" % len(body)
    cases = [
        (head + length + length + b"\r\n" + body, 400),
        (head + length + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (head + b"Content-Length: \xb2\r\n\r\n", 400),
        (head + length + b"\r\n" + body[:-1], 408),
        (head + b"Content-Length: 2000\r\n\r\n" + b"[" * 2000, 400),
        (head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body), 200),
    ]
    for content, status in cases:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(content)
            assert connection.recv(65536).startswith(b"HTTP/1.1 %d " % status), content


def test_nothing_is_written_to_the_home_folder(start: Any, wait_ready: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    process, port, log = start(onnx.scale(2.0, ["n"]), HOME=str(home), XDG_CACHE_HOME="")
    wait_ready(process, port, log)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    code = "import fairlead_edge.parity, fairlead_edge.targets.openvino_ir, onnxruntime.quantization"
    environment = {**os.environ, "HOME": str(home), "XDG_CACHE_HOME": ""}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)
    # ONNX Runtime's telemetry stores a device's id and its errors in ~/.cache when it is imported.
    assert list(home.rglob("*")) == []
