"""TensorFlow Serving's REST API: rows and columns, several inputs and outputs, errors."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support import onnx_models as onnx

PATH = "/v1/models/digits:predict"


@pytest.fixture(scope="module")
def local(start: Callable[..., Any], publish_model: Callable[..., str]) -> Any:
    """A ready server with one model of one input, times 2."""
    uri = publish_model("twice-tf", onnx.scale(2.0, ["n", 3]))
    return start({"name": "twice", "type": "MODEL", "modelUri": uri}).wait_ready()


@pytest.fixture(scope="module")
def pair(start: Callable[..., Any], publish_model: Callable[..., str]) -> Any:
    """A ready server with a model of two inputs and two outputs: their sum and their difference."""
    ports = [(name, "FP32", ["n", 2]) for name in ("a", "b", "sum", "difference")]
    nodes = [onnx.node("Add", ["a", "b"], ["sum"]), onnx.node("Sub", ["a", "b"], ["difference"])]
    uri = publish_model("pair-tf", onnx.model(nodes, ports[:2], ports[2:]))
    return start({"name": "pair", "type": "MODEL", "modelUri": uri}).wait_ready()


def test_rows_are_answered_with_rows_and_columns_with_columns(local: Any) -> None:
    rows, doubled = [[1, 2.5, 4], [3, 0.5, 0]], [[2.0, 5.0, 8.0], [6.0, 1.0, 0.0]]
    assert local.post(PATH, {"instances": rows}).json == {"predictions": doubled}
    assert local.post(PATH, {"inputs": rows}).json == {"outputs": doubled}
    named = {"signature_name": "serving_default", "instances": [{"x": row} for row in rows]}
    assert local.post(PATH, named).json == {"predictions": doubled}
    version = local.get("/v1/models/digits").json["model_version_status"][0]
    assert (version["state"], version["status"]["error_code"]) == ("AVAILABLE", "OK")
    assert local.post(f"/v1/models/digits/versions/{version['version']}:predict", {"inputs": rows}).status == 200


def test_several_inputs_and_outputs_have_names(pair: Any) -> None:
    rows = [{"a": [1, 2], "b": [3, 5]}, {"a": [0, 1], "b": [1, 1]}]
    assert pair.post(PATH, {"instances": rows}).json == {
        "predictions": [
            {"sum": [4.0, 7.0], "difference": [-2.0, -3.0]},
            {"sum": [1.0, 2.0], "difference": [-1.0, 0.0]},
        ]
    }
    columns = {"a": [[1, 2]], "b": [[3, 5]]}
    assert pair.post(PATH, {"inputs": columns}).json == {"outputs": {"sum": [[4.0, 7.0]], "difference": [[-2.0, -3.0]]}}


REJECTED: list[tuple[Any, str]] = [
    ([], "body: got [], expected a JSON object"),
    ({}, "body: got [], expected instances or inputs"),
    ({"instances": [[1, 2, 3]], "inputs": [[1, 2, 3]]}, "expected instances or inputs"),
    ({"instances": []}, "instances: got [], expected a list with at least one instance"),
    ({"instances": {}}, "instances: got {}, expected a list with at least one instance"),
    ({"inputs": {}}, "inputs: got {}, expected at least one input"),
    ({"instances": [[1, 2, 3]], "signature_name": "train"}, "signature_name: got 'train', expected serving_default"),
    ({"instances": [{"x": [1, 2, 3]}, {"y": [1, 2, 3]}]}, "instances[1]: got "),
    ({"instances": [{"x": [1, 2, 3]}, [1, 2, 3]]}, "instances[1]: got [1, 2, 3], expected an object"),
    ({"instances": [[1, 2, 3], [4]]}, "instances: got rows of 1 and 3"),
    ({"instances": [[1, 2]]}, "node twice: input x shape: got [1, 2]"),
    ({"inputs": 7}, "inputs"),
    ({"instances": [["a", "b", "c"]]}, "node twice: input x datatype: got text, expected FP32"),
    ({"instances": [{"x": {"b64": "aGk="}}]}, "instances[].x"),
]


@pytest.mark.parametrize(("document", "reason"), REJECTED, ids=[reason[:40] for _, reason in REJECTED])
def test_an_invalid_request_is_rejected_by_field(local: Any, document: Any, reason: str) -> None:
    answer = local.post(PATH, document)
    assert (answer.status, reason in answer.json["error"]) == (400, True), answer.body


def test_values_without_names_are_not_enough_for_several_inputs(pair: Any) -> None:
    answer = pair.post(PATH, {"instances": [[1, 2]]})
    assert answer.status == 400
    assert "expected the inputs a, b by name" in answer.json["error"]


def test_unknown_models_and_actions_are_not_found(local: Any) -> None:
    for path in ("/v1/models/other:predict", "/v1/models/digits:classify", "/v1/models/digits/versions/7:predict"):
        assert local.post(path, {"instances": [[1, 2, 3]]}).status == 404, path
    assert local.get("/v1/models/other").status == 404


def test_outputs_without_common_rows_are_not_answered_in_rows(
    start: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    total = onnx.model(
        [onnx.node("ReduceSum", ["x"], ["total"], keepdims=0)], [("x", "FP32", ["n", 3])], [("total", "FP32", [])]
    )
    server = start({"name": "total", "type": "MODEL", "modelUri": publish_model("total-tf", total)}).wait_ready()
    answer = server.post(PATH, {"instances": [[1, 2, 3]]})
    assert answer.status == 400
    assert "send inputs instead of instances" in answer.json["error"]
    assert server.post(PATH, {"inputs": [[1, 2, 3]]}).json == {"outputs": 6.0}
