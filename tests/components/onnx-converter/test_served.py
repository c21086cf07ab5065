"""Models that are not ours, end to end: trained by the examples, converted, and served by the graph server."""

import importlib.util
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from fairlead_artifacts import read_manifest
from fairlead_datasets.splits import Affine, Split, load_split
from fairlead_onnx_converter.sources import load_source

from tests.support.ports import free_port

EXAMPLES = Path(__file__).parents[3] / "examples" / "anyones-model"
Arrays = dict[str, np.ndarray]
ROWS = 7
START_SECONDS = 120

GRPC_CLIENT = """
import json, sys
import grpc
from fairlead_graph.protocols import open_inference_pb2 as pb
from google.protobuf import json_format
port, body = sys.argv[1], sys.stdin.read()
call = grpc.insecure_channel(f"127.0.0.1:{port}").unary_unary(
    "/inference.GRPCInferenceService/ModelInfer",
    request_serializer=pb.ModelInferRequest.SerializeToString,
    response_deserializer=pb.ModelInferResponse.FromString,
)
print(json_format.MessageToJson(call(json_format.Parse(body, pb.ModelInferRequest()), timeout=30)))
"""
"""Runs in the graph server's environment, which has gRPC."""


def find_environment() -> Path:
    """Return the graph server's environment; fail the test if it is missing."""
    home = Path(os.environ.get("FAIRLEAD_HOME", Path.home() / ".fairlead"))
    found = home / "envs" / "graph-server"
    if not (found / "bin" / "fairlead-graph-server").exists():
        command = shutil.which("fairlead-graph-server")
        assert command, (
            f"fairlead-graph-server is neither in {found} nor on PATH: set up the environment `graph-server`"
        )
        found = Path(command).resolve().parents[1]
    return found


@contextmanager
def serving(uri: str, folder: Path) -> Iterator[tuple[str, int]]:
    """Serve a model; yield the URL of its HTTP side and the port of its gRPC side."""
    http, grpc = free_port(), free_port()
    graph = {"name": "model", "type": "MODEL", "modelUri": uri}
    document = {"deployment": "anyone", "predictor": "main", "namespace": "default", "graph": graph}
    (folder / "graph.json").write_text(json.dumps(document))
    command = [
        find_environment() / "bin" / "fairlead-graph-server",
        "--graph",
        folder / "graph.json",
        "--port",
        str(http),
    ]
    more = {"FAIRLEAD_BIND_ADDRESS": "127.0.0.1", "FAIRLEAD_DRAIN_SECONDS": "0.2", "FAIRLEAD_GRPC_PORT": str(grpc)}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | more, stderr=log)
    try:
        url, end = f"http://127.0.0.1:{http}", time.monotonic() + START_SECONDS
        while not is_ready(url):
            said = (folder / "server.log").read_text()
            assert process.poll() is None, said
            assert time.monotonic() < end, f"not ready within {START_SECONDS} s: {said}"
            time.sleep(0.05)
        yield url, grpc
    finally:
        process.kill()
        process.wait()


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/v2/health/ready", timeout=5) as response:
            return int(response.status) == 200
    except OSError:
        return False


def infer(url: str, inputs: Arrays, datatypes: dict[str, str]) -> Arrays:
    """Send a request over REST and return the outputs."""
    tensors = [
        {"name": name, "datatype": datatypes[name], "shape": array.shape, "data": array.tolist()}
        for name, array in inputs.items()
    ]
    request = urllib.request.Request(
        f"{url}/v2/models/anyone/infer", json.dumps({"inputs": tensors}).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from None
    return {each["name"]: np.array(each["data"]).reshape(each["shape"]) for each in answer["outputs"]}


class Example:
    """A trained and converted example."""

    def __init__(self, name: str, tmp_path: Path, convert: Any, publish: Any, *more: str) -> None:
        folder = tmp_path / name
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.main(folder)
        assert convert(folder / "model", publish(folder / "data", "dataset"), *more) == (0, "")
        self.uri = (tmp_path / "store" / "onnx").as_uri()
        self.source, self.manifest = load_source(folder / "model"), read_manifest(self.uri)
        split = load_split(folder / "data", "eval", self.source.inputs, Affine())
        self.inputs = {name: array[:ROWS] for name, array in split.inputs.items()}
        self.datatypes = {tensor.name: tensor.dtype for tensor in self.source.inputs}
        self.model = onnx.load(tmp_path / "store" / "onnx" / "model.onnx")

    def ask_original(self, inputs: Arrays) -> Arrays:
        assert self.manifest.signature
        answers = self.source.run(Split(inputs, None))
        assert answers
        return {tensor.name: array for tensor, array in zip(self.manifest.signature.outputs, answers, strict=True)}

    def check(self, answers: Arrays, inputs: Arrays) -> None:
        expected = self.ask_original(inputs)
        assert answers.keys() == expected.keys()
        for name, array in expected.items():
            assert answers[name].shape == array.shape
            if array.dtype.kind == "f":
                np.testing.assert_allclose(answers[name], array, atol=1e-5)
            else:
                assert answers[name].tolist() == array.tolist()


Make = Callable[..., Example]


@pytest.fixture
def make(tmp_path: Path, convert: Any, publish_folder: Any) -> Make:
    return lambda name, *more: Example(name, tmp_path, convert, publish_folder, *more)


def test_a_scikit_learn_pipeline_of_numbers_and_texts_is_converted_and_served(make: Make, tmp_path: Path) -> None:
    example = make("wine", "--min-accuracy", "0.8")
    assert example.datatypes["hue"] == "BYTES"
    with serving(example.uri, tmp_path) as (url, _):
        answers = infer(url, example.inputs, example.datatypes)
    example.check(answers, example.inputs)
    assert set(answers["label"].tolist()) <= {"class_0", "class_1", "class_2"}


def test_a_text_model_with_int64_inputs_of_any_length_is_converted_and_served(make: Make, tmp_path: Path) -> None:
    example = make("reviews", "--opset", "20")
    (tokens,) = example.model.graph.input
    assert [dim.dim_param for dim in tokens.type.tensor_type.shape.dim] == ["batch", "tokens_1"]
    assert example.model.opset_import[0].version == 20
    shorter, longer = ({"tokens": example.inputs["tokens"][:, [*range(4), *more]]} for more in ([], range(12)))
    with serving(example.uri, tmp_path) as (url, _):
        for inputs in (example.inputs, shorter, longer):
            example.check(infer(url, inputs, example.datatypes), inputs)


def test_a_model_of_three_inputs_and_two_outputs_is_converted_and_served_over_rest_and_grpc(
    make: Make, tmp_path: Path
) -> None:
    example = make("diabetes", "--min-accuracy", "0.6")
    shapes = [
        [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in example.model.graph.input
    ]
    assert shapes == [["batch", 3], ["batch", 6], ["batch"]]
    fields = {"FP32": "fp32Contents", "INT64": "int64Contents"}
    tensors = [
        {"name": name, "datatype": example.datatypes[name], "shape": list(array.shape),
         "contents": {fields[example.datatypes[name]]: array.ravel().tolist()}}
        for name, array in example.inputs.items()
    ]  # fmt: skip
    with serving(example.uri, tmp_path) as (url, port):
        example.check(infer(url, example.inputs, example.datatypes), example.inputs)
        done = subprocess.run(
            [find_environment() / "bin" / "python", "-c", GRPC_CLIENT, str(port)],
            input=json.dumps({"modelName": "anyone", "inputs": tensors}), capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    answers = {
        tensor["name"]: np.array(tensor["contents"]["fp32Contents"]).reshape([int(size) for size in tensor["shape"]])
        for tensor in answer["outputs"]
    }
    example.check(answers, example.inputs)
