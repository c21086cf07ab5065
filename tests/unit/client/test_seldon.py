"""Requests of the client to a deployment that Seldon Core serves: as Seldon's message, and its answer as V2."""

from typing import Any

import pytest
from fairlead.client import Rejected
from fairlead.client.seldon import build_message, predict

V2 = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [[1, 2], [3, 4]]}]}


@pytest.mark.parametrize(("inputs", "message"), [
    ([[1.0, 2.0]], {"data": {"ndarray": [[1.0, 2.0]]}}),
    (V2, {"data": {"tensor": {"shape": [2, 2], "values": [1, 2, 3, 4]}}}),
])  # fmt: skip
def test_a_request_becomes_seldons_message(inputs: Any, message: Any) -> None:
    assert build_message(inputs) == message


@pytest.mark.parametrize("data", [
    {"names": ["a"], "ndarray": [[0.5, 1], [2, 3]]}, {"tensor": {"shape": [2, 2], "values": [0.5, 1, 2, 3]}},
])  # fmt: skip
def test_the_answer_becomes_a_v2_response(data: Any) -> None:
    sent: list[Any] = []

    def send(*request: Any) -> Any:
        sent.append(request)
        return {"data": data, "meta": {"puid": "p"}}

    answer = predict(V2, send)
    assert [request[:2] for request in sent] == [("POST", "/api/v1.0/predictions")]
    assert answer["outputs"] == [{"name": "output", "datatype": "FP64", "shape": [2, 2], "data": [0.5, 1, 2, 3]}]
    assert answer["parameters"] == {"meta": {"puid": "p"}}


@pytest.mark.parametrize("inputs", [{}, {"inputs": []}, {"inputs": V2["inputs"] * 2}, {"inputs": "x"}])
def test_a_request_of_other_than_one_tensor_is_rejected(inputs: Any) -> None:
    with pytest.raises(Rejected, match="expected one tensor"):
        build_message(inputs)


@pytest.mark.parametrize("tensor", [1, {"data": [1]}, {"shape": [1]}, {"shape": 1, "data": [1]}])
def test_a_tensor_without_shape_or_data_is_rejected(tensor: Any) -> None:
    with pytest.raises(Rejected, match="shape and data"):
        build_message({"inputs": [tensor]})


@pytest.mark.parametrize("answer", [
    {}, [], {"strData": "x"}, {"data": {"ndarray": [["a"]]}}, {"data": 1}, {"data": {"tensor": {}}},
    {"data": {"tensor": None}}, {"data": {"tensor": {"shape": 1, "values": [1]}}}, {"data": {"ndarray": 1}},
])  # fmt: skip
def test_an_answer_without_numbers_is_rejected(answer: Any) -> None:
    with pytest.raises(Rejected):
        predict([[1]], lambda *_: answer)


def test_the_client_finds_the_service_of_the_first_live_predictor(serve: Any) -> None:
    graph = {"name": "m", "modelUri": "s3://models/m/1"}
    deployment = {
        "apiVersion": "fairlead.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "digits"},
        "spec": {"engine": "Seldon", "predictors": [
            {"name": "dark", "shadow": {"percent": 1}, "graph": graph}, {"name": "main", "graph": graph},
        ]},
    }  # fmt: skip
    missing = {"kind": "Status", "code": 404, "reason": "NotFound", "message": 'services "digits" not found'}
    client = serve([(404, missing), (200, deployment), (404, missing | {"message": "digits-main not found"})])
    with pytest.raises(Exception, match="digits-main"):
        client.predict("digits", [[1]])
