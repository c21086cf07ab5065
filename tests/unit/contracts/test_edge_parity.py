"""The parity table of an edge bundle, version 2, and its budget."""

import json
import math
from typing import Any

import pytest
from fairlead_contracts.edge_parity import EdgeParity, EdgeParityTable, Golden, Group, parse_table
from fairlead_contracts.errors import ContractError
from fairlead_contracts.parity import BundleParity, BundleTable
from fairlead_contracts.parity_budget import Budget

FIRST = {
    "examples": 300, "max_abs_difference": 0.1, "agreement": 1.0, "accuracy_before": 1.0, "accuracy_after": 0.99,
    "bytes_before": 400, "bytes_after": 100, "split": "test", "max_drop": 0.01,
}  # fmt: skip
GROUP = Group(
    column="site", value="north", examples=10, right_before=9, right_after=8, lost=2, agreeing=7, accuracy_low=0.44,
    accuracy_high=0.98,
)  # fmt: skip
PARITY = EdgeParity(
    examples=300, max_abs_difference=0.1, agreement=1.0, accuracy_before=1.0, accuracy_after=0.99, bytes_before=400,
    bytes_after=100, mean_abs_difference=0.01, relative_mean_difference=0.02, lost=3, won=0, drop_high=0.03,
    accuracy_low=0.97, accuracy_high=1.0, sure_accuracy_before=0.95, sure_accuracy_after=0.93, chance_before=0.1,
    chance_after=0.1, golden=Golden(examples=16, max_abs_difference=0.1, relative_mean_difference=0.02, agreeing=16),
    class_count=10, classes=(GROUP,), slices=(GROUP,),
)  # fmt: skip
TABLE = EdgeParityTable.build(PARITY, "test", Budget(max_missed_drop=0.05))


def write(document: object) -> bytes:
    return json.dumps(document).encode()


def test_a_written_table_is_read_back() -> None:
    document = TABLE.to_json()
    assert document["schema"] == "fairlead.dev/edge-parity/v2"
    assert document["budget"]["max_missed_drop"] == 0.05
    assert parse_table(write(document), "parity.json") == TABLE
    assert EdgeParityTable.parse(document, "parameters") == TABLE


def test_the_longest_table_is_read_back() -> None:
    most = dict.fromkeys(("examples", "right_before", "right_after", "lost", "agreeing"), 2**53 - 1)
    kinds = GROUP.model_copy(update=most | {"column": "y", "value": "99999"})
    sites = GROUP.model_copy(update=most | {"column": "\U0001f600" * 64, "value": "\U0001f600" * 64})
    parity = PARITY.model_copy(update={"classes": (kinds,) * 1000, "slices": (sites,) * 1000})
    table = EdgeParityTable.parse(EdgeParityTable.build(parity, "test", Budget()).to_json(), "parameters")
    assert parse_table(write(table.to_json()), "parity.json") == table


def test_the_number_of_distinct_examples_is_optional() -> None:
    table = EdgeParityTable.build(PARITY.model_copy(update={"distinct": 290}), "test", Budget())
    assert (table.parameters["distinct"], "distinct" in TABLE.parameters) == (290, False)
    older = {key: value for key, value in TABLE.to_json().items() if key != "distinct"}
    assert parse_table(write(older), "parity.json") == TABLE


def test_the_first_version_is_read() -> None:
    assert parse_table(write(FIRST), "parity.json") == BundleTable.parse(FIRST, "parity.json")


def test_readers_of_the_first_version_read_both() -> None:
    for kind in (BundleParity, BundleTable):
        assert kind.parse(TABLE.to_json(), "parameters").to_json().items() <= FIRST.items()


def test_the_parameters_of_a_manifest_are_figures_and_readable_as_the_first_version() -> None:
    assert all(isinstance(value, int | float | str) for value in TABLE.parameters.values())
    assert TABLE.parameters["drop_high"] == 0.03
    assert BundleTable.parse(TABLE.parameters, "parameters").examples == 300


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "fairlead.dev/edge-parity/v3"}, "schema: got 'fairlead.dev/edge-parity/v3', expected 'fairlead"),
        ({"schema": None}, "schema: got None"),
        ({"examples": "many"}, "examples: got 'many', expected an integer"),
        ({"drop_high": 1.5}, "drop_high: got 1.5, expected at most 1"),
        ({"lost": -1}, "lost: got -1, expected at least 0"),
        ({"classes": [GROUP.to_json()] * 1001}, "classes: got ["),
        ({"slices": [GROUP.to_json() | {"value": "x" * 65}]}, "slices[0].value: got 'xx"),
        ({"slices": [GROUP.to_json() | {"agreeing": 11}]}, "slices[0].agreeing: got 11, expected at most the number"),
        ({"slices": [GROUP.to_json() | {"lost": 0}]}, "slices[0].lost: got 0, expected the difference"),
        ({"golden": TABLE.golden.to_json() | {"examples": 65}}, "golden.examples: got 65, expected at most 64"),
        ({"budget": 7}, "budget: got 7, expected limits by name"),
        ({"budget": {"max_dorp": 0.1}}, "budget.max_dorp: got an unknown limit, expected one of min_examples, "),
        ({"budget": {"max_drop": 2}}, "budget.max_drop: got 2, expected a number from 0 to 1"),
    ],
)
def test_a_table_out_of_bounds_is_rejected_by_field(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError) as caught:
        parse_table(write(TABLE.to_json() | change), "parity.json")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("content", [b"[]", b"{", b"{" * 5000, b'{"schema": NaN}', b" " * (1 << 21) + b"{}"])
def test_what_is_no_table_is_rejected(content: bytes) -> None:
    with pytest.raises(ContractError, match=r"parity\.json: got"):
        parse_table(content, "parity.json")


@pytest.mark.parametrize("wrong", [math.inf, math.nan])
def test_figures_that_are_not_finite_are_measured_but_not_published(wrong: float) -> None:
    golden = Golden(examples=16, max_abs_difference=wrong, relative_mean_difference=0.0, agreeing=16)
    for update in ({"mean_abs_difference": wrong}, {"golden": golden}):
        with pytest.raises(ContractError, match="expected a finite number"):
            EdgeParityTable.build(PARITY.model_copy(update=update), "test", Budget())


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"min_examples": 0}, "min_examples: got 0, expected an integer from 1 to 1000000000"),
        ({"min_examples": 10.0}, "min_examples: got 10.0"),
        ({"max_drop": None}, "max_drop: got None, expected a number"),
        ({"max_drop": True}, "max_drop: got True, expected a number from 0 to 1"),
        ({"min_agreement": "0.9"}, "min_agreement: got '0.9'"),
        (
            {"max_relative_difference": -0.1},
            "max_relative_difference: got -0.1, expected a finite number of at least 0",
        ),
        ({"max_difference": math.inf}, "max_difference: got inf"),
        ({"max_slice_drop": math.nan}, "max_slice_drop: got nan, expected a number from 0 to 1"),
        ({"max_difference": 10**400}, "max_difference: got 1000"),
    ],
)
def test_a_limit_out_of_bounds_is_rejected_by_name(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError) as caught:
        Budget.parse(limits)
    assert str(caught.value).startswith(message)


def test_what_a_budget_leaves_out_has_its_default() -> None:
    assert Budget.parse({"max_difference": 2, "min_examples": 30}) == Budget(max_difference=2, min_examples=30)
    assert Budget.parse(Budget(max_mean_difference=0.5).to_json()) == Budget(max_mean_difference=0.5)
