"""Types that are guessed or declared: no value becomes another one in silence."""

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from .conftest import Kitchen

GUESSED: dict[str, Any] = {"source": {"path": "t.csv"}, "output": {"format": "parquet"}}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-2", "0"], [1, -2, 0]),
        (["1", "-2.5", "3e2", ".5"], [1.0, -2.5, 300.0, 0.5]),
        (["00701", "10115"], ["00701", "10115"]),
        (["+4930123", "4930124"], ["+4930123", "4930124"]),
        (["0x1F", "0x20"], ["0x1F", "0x20"]),
        (["9223372036854775808", "9223372036854775809"], ["9223372036854775808", "9223372036854775809"]),
        (["9007199254740993", "0.5"], ["9007199254740993", "0.5"]),
        (["0.50000000000000000000", "1"], [0.5, 1.0]),
        (["True", "false"], [True, False]),
        (["NA", '"NA"'], [None, "NA"]),
    ],
)
def test_a_guess_changes_no_value(kitchen: Kitchen, values: list[str], expected: list[Any]) -> None:
    kitchen.write({"t.csv": "id,v\n" + "".join(f"{i},{value}\n" for i, value in enumerate(values))})
    kitchen.make(GUESSED)
    found = [row["v"] for row in kitchen.rows()["data"]]
    assert (found, list(map(type, found))) == (expected, list(map(type, expected)))


def test_integers_that_no_float_holds_are_no_numbers(kitchen: Kitchen) -> None:
    kitchen.write({"t.csv": "v\n9007199254740992\n9007199254740993\n10000000000000000000000\n"})
    message = kitchen.reject({**GUESSED, "columns": {"v": {"type": "number"}}})
    assert "column v: got row 2: '9007199254740993'; expected a finite number, an integer one exact" in message
    assert "row 1" not in message
    decimals = pa.array([Decimal(2**53), Decimal(2**53 + 1)], pa.decimal128(20, 0))
    pq.write_table(pa.table({"v": decimals}), kitchen.folder / "t.parquet")
    assert "column v: has the type decimal128(20, 0)" in kitchen.reject({"source": {"path": "t.parquet"}})
    pq.write_table(pa.table({"v": pa.array([Decimal("0.10"), None])}), kitchen.folder / "t.parquet")
    kitchen.make({"source": {"path": "t.parquet"}})
    assert [row["v"] for row in kitchen.rows()["data"]] == [0.1, None]


def test_a_dataset_of_csv_files_has_the_same_types_when_it_is_a_source(kitchen: Kitchen) -> None:
    kitchen.write({"t.csv": 'code,size\n12,1\n34,2\n"NA",3\n'})
    columns = {"code": {"type": "text"}, "size": {"type": "number"}}
    kitchen.make({"source": {"path": "t.csv"}, "columns": columns})
    source, kitchen.uri = kitchen.uri, f"{kitchen.uri}2"
    kitchen.make({"source": {"artifact": source}, "output": {"format": "parquet"}})
    rows = kitchen.rows()["data"]
    assert [row["code"] for row in rows] == ["12", "34", "NA"]
    assert type(rows[0]["size"]) is float


def test_a_column_of_numbers_with_a_few_texts_is_no_column_of_texts(kitchen: Kitchen) -> None:
    values = ["1.5", "n/a", "2", "n/a", "3", "4", "5"]
    kitchen.write({"t.csv": "id,v\n" + "".join(f"{i},{value}\n" for i, value in enumerate(values))})
    recipe = {**GUESSED, "columns": {"id": {"type": "integer"}}, "otherColumns": "keep"}
    message = kitchen.reject(recipe)
    assert "column v: got row 2: 'n/a', row 4: 'n/a'; expected a number as in most rows, or a type for it" in message
    recipe["columns"] = {**recipe["columns"], "v": {"type": "text"}}
    kitchen.make(recipe)
    assert [row["v"] for row in kitchen.rows()["data"]] == values
