"""V2 requests that the client builds from rows."""

from typing import Any

import pytest
from fairlead.client import Rejected
from fairlead.client.inference import build_request

INPUT = {"name": "x", "datatype": "FP32", "shape": [-1, 2]}


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        pytest.param([[1.0, 2.0], [3.0, 4.0]], [2, 2], id="two rows"),
        pytest.param([1, 2, 3], [3], id="a vector"),
        pytest.param([], [0], id="no rows"),
        pytest.param([[[1, 2]]], [1, 1, 2], id="nested deeper"),
    ],
)
def test_rows_become_one_tensor(values: list[Any], shape: list[int]) -> None:
    assert build_request([INPUT], values) == {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": shape, "data": values}]
    }


def test_rows_for_a_model_of_two_inputs_are_rejected() -> None:
    with pytest.raises(Rejected, match="the model has several inputs: x, y"):
        build_request([INPUT, INPUT | {"name": "y"}], [[1.0]])
