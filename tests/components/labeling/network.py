"""A small classifier: trained with numpy, written as ONNX, and served by the real graph server."""

import contextlib
import http.client
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.support import onnx_models as onnx
from tests.support.ports import free_port


@dataclass(frozen=True)
class Classifier:
    """Softmax regression."""

    weights: Any
    bias: Any

    def score(self, x: Any) -> Any:
        """Return a probability for each class."""
        scores = x @ self.weights + self.bias
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def accuracy(self, x: Any, y: Any) -> float:
        return float((self.score(x).argmax(axis=1) == y).mean())

    def to_onnx(self) -> bytes:
        nodes = [
            onnx.node("MatMul", ["x", "w"], ["product"]),
            onnx.node("Add", ["product", "b"], ["scores"]),
            onnx.node("Softmax", ["scores"], ["probabilities"], axis=1),
        ]
        size, classes = self.weights.shape
        tensors = [onnx.tensor("w", self.weights.astype(np.float32)), onnx.tensor("b", self.bias.astype(np.float32))]
        ports = [("x", "FP32", ["n", size])], [("probabilities", "FP32", ["n", classes])]
        return onnx.model(nodes, *ports, tensors)


def train(x: Any, y: Any, classes: int, steps: int = 400) -> Classifier:
    """Train by gradient descent, with a little decay."""
    model, right = Classifier(np.zeros((x.shape[1], classes)), np.zeros(classes)), np.eye(classes)[y]
    for _ in range(steps):
        error = (model.score(x) - right) / len(x)
        model = Classifier(model.weights * 0.999 - 2.0 * x.T @ error, model.bias - 2.0 * error.sum(axis=0))
    return model


@contextlib.contextmanager
def serving(model_uri: str, folder: Path) -> Iterator[str]:
    """Serve a model's artifact during the block; yield the model's URL."""
    command = shutil.which("fairlead-graph-server")
    assert command, "fairlead-graph-server: not on PATH, set up the environment `graph-server`"
    graph = {"name": "classifier", "type": "MODEL", "modelUri": model_uri}
    file, port = folder / "graph.json", free_port()
    file.write_text(json.dumps({"deployment": "pets", "predictor": "main", "namespace": "default", "graph": graph}))
    with (folder / "graph.log").open("wb") as log:
        process = subprocess.Popen([command, "--graph", str(file), "--port", str(port)], stdout=log, stderr=log)
    try:
        _wait_until_ready(port, process, folder / "graph.log")
        yield f"http://127.0.0.1:{port}/v2/models/pets"
    finally:
        process.terminate()
        process.wait(timeout=60)


def _wait_until_ready(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-3000:]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/v2/health/ready")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.2)
    raise AssertionError(f"the graph server is not ready after 120 s: {log.read_text()[-3000:]}")
