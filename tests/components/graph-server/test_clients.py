"""Clients that users have, unchanged and with their defaults: tritonclient over HTTP and gRPC, SeldonClient, curl."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import onnx_models as onnx
from tests.support.ports import free_port

TRITON = """
import sys
import numpy as np
module, address, options = sys.argv[1], sys.argv[2], sys.argv[3:]
client = __import__(f"tritonclient.{module}", fromlist=["x"])
connection = client.InferenceServerClient(address)
assert connection.is_server_live() and connection.is_server_ready() and connection.is_model_ready("digits")
metadata = connection.get_model_metadata("digits")
inputs = metadata["inputs"] if module == "http" else metadata.inputs
name = inputs[0]["name"] if module == "http" else inputs[0].name
assert connection.get_server_metadata()
versions = metadata["versions"] if module == "http" else metadata.versions
assert connection.is_model_ready("digits", versions[0])
assert connection.get_model_metadata("digits", versions[0]) == metadata
index = connection.get_model_repository_index()
(listed,) = index if module == "http" else index.models
read = listed.get if module == "http" else lambda name: getattr(listed, name)
assert [read(name) for name in ("name", "version", "state")] == ["digits", versions[0], "READY"], listed
for change in (connection.load_model, connection.unload_model):
    try:
        change("digits")
    except client.InferenceServerException as error:
        assert "the ModelDeployment digits says what this server serves" in error.message(), error
    else:
        raise AssertionError("a client has changed what is served")
for method in (connection.get_model_metadata, connection.is_model_ready):
    try:
        found = method("digits", "7")
    except client.InferenceServerException as error:
        assert "version: got '7'" in error.message(), error
    else:
        assert found is False, found
rows = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
for binary in (True, False) if module == "http" else (True,):
    tensor = client.InferInput(name, list(rows.shape), "FP32")
    if module == "http":
        tensor.set_data_from_numpy(rows, binary_data=binary)
        outputs = [client.InferRequestedOutput("scaled", binary_data=binary)]
    else:
        tensor.set_data_from_numpy(rows)
        outputs = [client.InferRequestedOutput("scaled")]
    for selected in (None, outputs):
        for packing in (None, "gzip", "deflate"):
            more = {"request_compression_algorithm": packing, "response_compression_algorithm": packing}
            more = more if module == "http" else {"compression_algorithm": packing}
            answer = connection.infer("digits", [tensor], versions[0], request_id="7", outputs=selected, **more)
            np.testing.assert_array_equal(answer.as_numpy("scaled"), rows * 2)
try:
    bad = client.InferInput(name, [1, 2], "FP32")
    bad.set_data_from_numpy(np.zeros((1, 2), np.float32))
    connection.infer("digits", [bad])
except Exception as error:
    assert "shape: got [1, 2], expected [-1, 3]" in str(error), error
else:
    raise AssertionError("a wrong shape was accepted")
print("done")
"""

TRITON_TEXTS = """
import sys
import numpy as np
import tritonclient.http as http
import tritonclient.grpc as grpc
texts = np.array(["é", "", "x" * 300], dtype=object)
for client, address in ((http, sys.argv[1]), (grpc, sys.argv[2])):
    tensor = client.InferInput("x", [3], "BYTES")
    tensor.set_data_from_numpy(texts)
    answer = client.InferenceServerClient(address).infer("digits", [tensor])
    assert [value.decode() for value in answer.as_numpy("y")] == texts.tolist()
print("done")
"""

SELDON = """
import sys
import numpy as np
from seldon_core.seldon_client import SeldonClient
client = SeldonClient(gateway="seldon", gateway_endpoint=sys.argv[1], transport="rest", deployment_name="digits")
rows = np.array([[1.0, 2.0, 4.0]])
for payload in ("tensor", "ndarray"):
    answer = client.predict(data=rows, payload_type=payload, gateway_prefix="")
    assert answer.success, answer.msg
    data = answer.response["data"]
    values = data["tensor"]["values"] if payload == "tensor" else data["ndarray"][0]
    assert values == [2.0, 4.0, 8.0], data
print("done")
"""

SELDON_GRPC = """
import sys
import numpy as np
from seldon_core.seldon_client import SeldonClient
client = SeldonClient(
    gateway="seldon", gateway_endpoint=sys.argv[1], transport="grpc", deployment_name="digits",
    client_return_type="proto",
)
# SeldonClient cannot build an ndarray over gRPC
answer = client.predict(data=np.array([[1.0, 2.0, 4.0]]), payload_type="tensor")
assert answer.success, answer.msg
assert list(answer.response.data.tensor.values) == [2.0, 4.0, 8.0], answer.response
told = client.feedback(answer.request, answer.response, reward=1.0)
assert told.success, told.msg
print("done")
"""


@pytest.fixture(scope="module")
def serve(start: Callable[..., Any], publish_model: Callable[..., str]) -> Callable[[bytes], tuple[Any, str]]:
    """Return a function that serves a model, and returns the server and its gRPC address."""

    def run(model: bytes) -> tuple[Any, str]:
        port = free_port()
        graph = {"name": "model", "type": "MODEL", "modelUri": publish_model("model", model)}
        return start(graph, FAIRLEAD_GRPC_PORT=str(port)).wait_ready(), f"127.0.0.1:{port}"

    return run


@pytest.fixture(scope="module")
def twice(serve: Callable[[bytes], tuple[Any, str]]) -> tuple[Any, str]:
    """Return a server of a model, times 2, and its gRPC address."""
    return serve(onnx.scale(2.0, ["n", 3]))


def run(environment: str, script: str, *arguments: str) -> None:
    """Run a script in another environment of the tests, without a proxy."""
    home = Path(os.environ.get("FAIRLEAD_HOME", Path.home() / ".fairlead"))
    python = home / "envs" / environment / "bin" / "python"
    assert python.exists(), f"{python} does not exist: set up the environment {environment}"
    variables = {"PATH": os.environ["PATH"], "no_proxy": "127.0.0.1"}
    result = subprocess.run(
        [python, "-c", script, *arguments], env=variables, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.stdout.strip().endswith("done"), result.stderr[-3000:]


def test_tritonclient_over_http(twice: tuple[Any, str]) -> None:
    run("clients", TRITON, "http", f"127.0.0.1:{twice[0].port}")


def test_tritonclient_over_grpc(twice: tuple[Any, str]) -> None:
    run("clients", TRITON, "grpc", twice[1])


def test_tritonclient_with_texts(serve: Callable[[bytes], tuple[Any, str]]) -> None:
    server, address = serve(onnx.identity("BYTES", ["n"]))
    run("clients", TRITON_TEXTS, f"127.0.0.1:{server.port}", address)


def test_seldonclient(twice: tuple[Any, str]) -> None:
    run("seldon", SELDON, f"127.0.0.1:{twice[0].port}")


def test_seldonclient_over_grpc(twice: tuple[Any, str]) -> None:
    run("seldon", SELDON_GRPC, twice[1])


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(twice: tuple[Any, str]) -> None:
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 4]}]}
    url = f"http://127.0.0.1:{twice[0].port}/v2/models/digits/infer"
    command = ["curl", "--silent", "--fail", "--compressed", "--noproxy", "*", "--json", json.dumps(body), url]
    answer = subprocess.run(command, capture_output=True, check=True)
    assert json.loads(answer.stdout)["outputs"][0]["data"] == [2.0, 4.0, 8.0]
