"""The Open Inference Protocol v2 on a real server with real models: correct answers, and errors that name the field."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.support import onnx_models as onnx

ROWS = [[1.0, 2.0, 4.0], [3.0, 0.5, 0.0]]
WEIGHTS = {"w": np.arange(6, dtype=np.float32).reshape(3, 2), "b": np.array([0.5, -0.5], np.float32)}
INPUT = {"name": "x", "datatype": "FP32", "shape": [2, 3], "data": ROWS}


@pytest.fixture(scope="module")
def server(start: Callable[..., Any], publish_model: Callable[..., str]) -> Any:
    """Return a ready server of scaler -> classifier."""
    scaler = publish_model("scaler", {"scaler.onnx": onnx.scale(0.5, ["batch", 3])})
    classifier = publish_model("classifier", onnx.linear(WEIGHTS))
    child = {"name": "classifier", "type": "MODEL", "modelUri": classifier}
    graph = {"name": "scaler", "type": "TRANSFORMER", "modelUri": f"{scaler}/scaler.onnx", "children": [child]}
    return start(graph).wait_ready()


def expected() -> np.ndarray:
    return np.array(ROWS, np.float32) * 0.5 @ WEIGHTS["w"] + WEIGHTS["b"]


def test_a_graph_of_two_models_computes_both_in_turn(server: Any) -> None:
    answer = server.infer(INPUT, id="call-7")
    assert answer.status == 200
    (output,) = answer.json["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("logits", "FP32", [2, 2])
    np.testing.assert_allclose(np.reshape(output["data"], (2, 2)), expected(), rtol=1e-6)
    assert answer.json["model_name"] == "digits"
    assert answer.json["id"] == "call-7"


def test_flat_and_nested_data_mean_the_same(server: Any) -> None:
    flat = server.infer({**INPUT, "data": [value for row in ROWS for value in row]})
    assert flat.json["outputs"] == server.infer(INPUT).json["outputs"]


def test_metadata_is_that_of_the_whole_graph(server: Any) -> None:
    metadata = server.get("/v2/models/digits").json
    assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]
    assert metadata["outputs"] == [{"name": "logits", "datatype": "FP32", "shape": [-1, 2]}]
    assert server.get("/v2").json["name"] == "fairlead-graph-server"
    assert server.get("/v2/health/live").status == 200
    assert server.get("/v2/models/digits/ready").json == {"name": "digits", "ready": True}


def test_outputs_can_be_selected(server: Any) -> None:
    assert server.infer(INPUT, outputs=[{"name": "logits"}]).status == 200
    rejected = server.infer(INPUT, outputs=[{"name": "scaled"}])
    assert rejected.status == 400
    assert rejected.json["error"] == "outputs[0].name: got 'scaled', expected one of logits"


REJECTED = [
    ({**INPUT, "shape": [1, 3]}, "inputs[0].data: got 6 values, expected 3, for shape [1, 3]"),
    ({**INPUT, "shape": [2, 4]}, "inputs[0].shape: got [2, 4], expected [-1, 3] (-1: any size)"),
    ({**INPUT, "shape": [6]}, "inputs[0].shape: got [6], expected [-1, 3] (-1: any size)"),
    ({**INPUT, "shape": [2, -3]}, "inputs[0].shape: got [2, -3], expected a list of sizes"),
    ({**INPUT, "datatype": "FP64"}, "inputs[0].datatype: got 'FP64', expected FP32"),
    ({**INPUT, "datatype": "FLOAT"}, "inputs[0].datatype: got 'FLOAT', expected one of BOOL,"),
    ({**INPUT, "name": "y"}, "inputs[0].name: got 'y', expected one of x"),
    ({**INPUT, "data": "1,2,3"}, "inputs[0].data: got '1,2,3', expected a list"),
    ({**INPUT, "data": [1, 2, "3", 4, 5, 6]}, "inputs[0].data[2]: got '3', expected a number (FP32)"),
    ({**INPUT, "data": [1, 2, 3, "NaN", 5, 6]}, "inputs[0].data[3]: got 'NaN', expected a number (FP32)"),
    ({**INPUT, "data": [1, None, 3, 4, 5, 6]}, "inputs[0].data[1]: got None, expected a number (FP32)"),
    ({**INPUT, "data": [1, 2, 3, True, 5, 6]}, "inputs[0].data[3]: got True, expected a number (FP32)"),
    ({**INPUT, "data": [1, 2, 3, 4, 5, 1e39]}, "inputs[0].data[5]: got 1e+39, expected a number that FP32 can hold"),
    ({**INPUT, "data": [[1, 2], [3]]}, "inputs[0].data: got rows of 1 and 2, expected rows of equal lengths"),
    ({**INPUT, "data": [[1, 2], 3]}, "inputs[0].data: got values next to lists, expected rows of equal lengths"),
    ({**INPUT, "data": [[1, 2], [3, 4], [5, 6]]}, "inputs[0].data: got lists of shape [3, 2], expected shape [2, 3]"),
    ({**INPUT, "parameters": {"binary_data_size": 24}}, "inputs[0].data: got data, expected none next to"),
    ("x", "inputs[0]: got 'x', expected an object with name"),
]


@pytest.mark.parametrize(("tensor", "message"), REJECTED, ids=[message[:60] for _, message in REJECTED])
def test_an_invalid_input_is_rejected_by_field_value_and_expectation(server: Any, tensor: Any, message: str) -> None:
    answer = server.infer(tensor)
    assert answer.status == 400
    assert answer.json["error"].startswith(message)


BODIES = [
    (b"{", "body: got b'{', expected JSON"),
    (b'{"inputs": [{"name": "x", "data": [NaN]}]}', "body: got"),
    (b"[]", "body: got [], expected a JSON object with inputs"),
    (b"{}", "inputs: got None, expected a list of at least one tensor"),
    (b'{"inputs": []}', "inputs: got [], expected a list of at least one tensor"),
    (b'{"id": 7, "inputs": []}', "id: got 7, expected a string"),
    (b'{"parameters": [], "inputs": []}', "parameters: got [], expected an object"),
]


def test_the_server_continues_after_every_invalid_body(server: Any) -> None:
    for body, message in BODIES:
        answer = server.post("/v2/models/digits/infer", body)
        assert answer.status == 400, body
        assert answer.json["error"].startswith(message)
    assert server.infer(INPUT).status == 200
    assert server.process.poll() is None


def test_unknown_models_paths_and_methods_are_distinguished(server: Any) -> None:
    assert server.post("/v2/models/letters/infer", {}).json == {"error": "model: got 'letters', expected 'digits'"}
    assert server.get("/v2/models/letters").status == 404
    assert server.get("/nowhere").status == 404
    assert server.post("/v2/models/digits/explain", {}).status == 404
    answer = server.request("DELETE", "/v2/models/digits", None)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")


@pytest.mark.parametrize(
    ("datatype", "data"),
    [("FP64", [1.5, -2.0, 1e300]), ("INT64", [1, -2, 2**40]), ("FP32", [1.5, 0.25, 3])],
)
def test_a_data_type_comes_back_as_it_went_in(
    start: Callable[..., Any], publish_model: Callable[..., str], datatype: str, data: list[float]
) -> None:
    uri = publish_model("twice", onnx.scale(2, ["n", 3], datatype))
    server = start({"name": "twice", "type": "MODEL", "modelUri": uri}).wait_ready()
    answer = server.infer({"name": "x", "datatype": datatype, "shape": [1, 3], "data": data})
    assert answer.json["outputs"][0] == {
        "name": "scaled", "datatype": datatype, "shape": [1, 3], "data": [2 * value for value in data],
    }  # fmt: skip


def test_every_data_type_passes_through_and_out_of_range_is_rejected(
    start: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    cases = {"BOOL": [True, False], "UINT8": [0, 255], "INT8": [-128, 127], "INT32": [-5, 2**31 - 1],
             "FP16": [0.5, -2.0], "BYTES": ["a", "höher"]}  # fmt: skip
    nodes = [onnx.node("Identity", [f"in_{name}"], [f"out_{name}"]) for name in cases]
    inputs = [(f"in_{name}", name, ["n"]) for name in cases]
    outputs = [(f"out_{name}", name, ["n"]) for name in cases]
    uri = publish_model("all", onnx.model(nodes, inputs, outputs))
    server = start({"name": "all", "type": "MODEL", "modelUri": uri}).wait_ready()
    tensors = [{"name": f"in_{name}", "datatype": name, "shape": [2], "data": data} for name, data in cases.items()]
    answer = server.infer(*tensors)
    assert {output["name"]: output["data"] for output in answer.json["outputs"]} == {
        f"out_{name}": data for name, data in cases.items()
    }
    some = server.infer(*tensors, outputs=[{"name": "out_INT8"}, {"name": "out_BYTES"}])
    assert [output["name"] for output in some.json["outputs"]] == ["out_INT8", "out_BYTES"]

    index = list(cases).index("UINT8")
    wrong = [dict(tensor) for tensor in tensors]
    wrong[index]["data"] = [0, 256]
    rejected = server.infer(*wrong)
    assert rejected.json["error"] == f"inputs[{index}].data[1]: got 256, expected a number that UINT8 can hold"
    wrong[index]["data"] = [0, 1.5]
    assert server.infer(*wrong).json["error"] == f"inputs[{index}].data[1]: got 1.5, expected an integer (UINT8)"
    assert "inputs: got 5 without in_BOOL, expected all of" in server.infer(*tensors[1:]).json["error"]
    assert server.infer(*tensors, tensors[0]).json["error"].endswith("expected unique names")
    short = [*tensors[:-1], {**tensors[-1], "shape": [1], "data": ["a"]}]
    assert server.infer(*short).json["error"] == "inputs[5].shape[0]: got 1, expected 2, as in inputs[0].shape"


def test_a_value_that_is_invalid_for_the_model_is_a_client_error(
    start: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    table = onnx.tensor("table", np.arange(3, dtype=np.float32))
    gather = onnx.model(
        [onnx.node("Gather", ["table", "i"], ["y"])], [("i", "INT64", ["n"])], [("y", "FP32", ["n"])], [table]
    )
    server = start({"name": "look", "type": "MODEL", "modelUri": publish_model("look", gather)}).wait_ready()
    ask = {"name": "i", "datatype": "INT64", "shape": [1]}
    assert server.infer({**ask, "data": [2]}).json["outputs"][0]["data"] == [2.0]
    rejected = server.infer({**ask, "data": [7]})
    assert rejected.status == 400
    assert "node look" in rejected.json["error"]
    assert server.infer({**ask, "data": [1]}).status == 200
