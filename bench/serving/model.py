"""The model of all contenders, 64-128-64-10 as the digits example's, and the requests for it."""

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
from fairlead_artifacts import publish

from tests.support.onnx_models import model, node, tensor

NAME = "digits"
_SIZES = (64, 128, 64, 10)
_ROW = [round(float(value), 3) for value in np.random.default_rng(3).random(_SIZES[0])]
"""What is asked in JSON, in each protocol."""


def write_model(folder: Path) -> Path:
    """Write the model with random weights; return its file, which is that of an artifact, too."""
    source = np.random.default_rng(7)
    nodes, tensors, at = [], [], "pixels"
    for layer, (width, height) in enumerate(pairwise(_SIZES)):
        last = layer == len(_SIZES) - 2
        tensors += [
            tensor(f"w{layer}", source.normal(0, 0.1, (width, height)).astype(np.float32)),
            tensor(f"b{layer}", source.normal(0, 0.1, height).astype(np.float32)),
        ]
        nodes += [node("MatMul", [at, f"w{layer}"], [f"m{layer}"])]
        nodes += [node("Add", [f"m{layer}", f"b{layer}"], ["logits" if last else f"a{layer}"])]
        if not last:
            nodes += [node("Relu", [f"a{layer}"], [f"r{layer}"])]
        at = f"r{layer}"
    ports = [("pixels", "FP32", ["rows", _SIZES[0]])], [("logits", "FP32", ["rows", _SIZES[-1]])]
    made = folder / "made"
    made.mkdir()
    (made / "model.onnx").write_bytes(model(nodes, *ports, tensors))
    publish(made, (folder / NAME).as_uri(), kind="onnx-model", producer="bench/0")
    return folder / NAME / "model.onnx"


def build_request(path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Build a POST, as bytes to send."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def build_json(path: str, document: object) -> bytes:
    """Build a POST of a JSON document."""
    return build_request(path, {"Content-Type": "application/json"}, json.dumps(document).encode())


def json_request(rows: int = 1) -> bytes:
    """Build a request of V2 with the same row some times as JSON."""
    tensor_ = {"name": "pixels", "datatype": "FP32", "shape": [rows, 64], "data": _ROW * rows}
    return build_json(f"/v2/models/{NAME}/infer", {"inputs": [tensor_]})


def seldon_request() -> bytes:
    """Build a request of Seldon's with the same row."""
    return build_json("/api/v1.0/predictions", {"data": {"ndarray": [_ROW]}})


def binary_request(rows: int) -> bytes:
    """Build a request of V2 with rows as bytes, whose answer is bytes, too."""
    data = np.random.default_rng(3).random((rows, _SIZES[0]), dtype=np.float32).tobytes()
    tensor_ = {"name": "pixels", "datatype": "FP32", "shape": [rows, 64], "parameters": {"binary_data_size": len(data)}}
    header = json.dumps({"inputs": [tensor_], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(header))}
    return build_request(f"/v2/models/{NAME}/infer", headers, header + data)
