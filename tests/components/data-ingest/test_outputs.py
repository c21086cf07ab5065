"""Outputs of tables: arrays, labels and folders by day."""

from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from .conftest import Kitchen
from .test_tables import GOOD, SCHEMA, SOURCE


def test_arrays_have_the_features_the_labels_and_what_is_kept(kitchen: Kitchen) -> None:
    kitchen.write({"houses.csv": GOOD})
    output = {"format": "npz", "label": "city", "features": ["size", "id"], "keep": ["built"]}
    manifest = kitchen.make({**SOURCE, "columns": SCHEMA, "output": output})
    arrays = kitchen.arrays()["data"]
    assert arrays["x"].dtype == np.float32
    np.testing.assert_array_equal(arrays["x"], np.array([[80.5, 1], [60, 2], [np.nan, 3]], np.float32))
    assert (arrays["y"].tolist(), manifest.parameters["labels"]) == ([0, 1, 0], ["Rome", "Oslo"])
    assert arrays["built"].tolist() == ["1999-01-31", "2005-06-01", "2010-12-24"]


def test_labels_that_are_no_texts_are_what_they_are(kitchen: Kitchen) -> None:
    kitchen.write({"houses.csv": "a,rooms,sold\n1,7,true\n2,3,false\n3,7,true\n"})
    for label, expected in (("rooms", [7, 3, 7]), ("sold", [1, 0, 1])):
        manifest = kitchen.make({**SOURCE, "output": {"format": "npz", "label": label, "features": ["a"]}})
        assert "labels" not in manifest.parameters
        y = kitchen.arrays()["data"]["y"]
        assert (y.tolist(), y.dtype) == (expected, np.int64)
        kitchen.uri += "2"


def test_missing_times_and_texts_are_empty_texts(kitchen: Kitchen) -> None:
    kitchen.write({"houses.csv": "a,day,city\n1,2024-01-31,Rome\n2,,\n"})
    kitchen.make({**SOURCE, "output": {"format": "npz", "features": ["a"], "keep": ["day", "city"]}})
    arrays = kitchen.arrays()["data"]
    assert (arrays["day"].tolist(), arrays["city"].tolist()) == (["2024-01-31", ""], ["Rome", ""])


def test_arrays_may_be_columns_by_name(kitchen: Kitchen) -> None:
    kitchen.write({"houses.csv": GOOD})
    output = {"format": "npz", "label": "city", "arrays": "columns", "features": ["id", "built"]}
    kitchen.make({**SOURCE, "output": output})
    arrays = kitchen.arrays()["data"]
    assert (arrays["id"].tolist(), arrays["built"].dtype.kind) == ([1, 2, 3], "U")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"format": "npz", "label": "town"}, "output.label: no column town; got id, size"),
        ({"format": "npz", "features": ["city"]}, "output.features: city: got texts, expected numbers"),
        ({"format": "npz", "label": "garden"}, "output.label: garden has 1 rows without a value"),
        (
            {"format": "npz", "keep": ["size"], "features": ["size"], "arrays": "columns"},
            "two arrays or features would be named size",
        ),
        ({"format": "npz", "keep": ["id", "y"], "label": "city"}, "output.keep: no column y; got id"),
        ({"format": "images"}, "output.format: got images, expected csv, parquet or npz"),
        ({"format": "parquet", "partition": "city"}, "output.partition: city has the type string, expected a date"),
    ],
)
def test_outputs_that_cannot_be_written_are_rejected(kitchen: Kitchen, output: Any, message: str) -> None:
    kitchen.write({"houses.csv": GOOD})
    assert message in kitchen.reject({**SOURCE, "output": output})


@pytest.mark.parametrize(
    ("header", "output", "message"),
    [
        ("y,city", {"keep": ["y"], "label": "city", "features": ["a"]}, "two arrays or features would be named y"),
        ("y,city", {"label": "city"}, "two arrays or features would be named y"),
        ("a2,city", {"keep": ["a2"], "features": ["a", "a2"]}, "two arrays or features would be named a2"),
        ("split,city", {"label": "city"}, "split: is reserved for another purpose; rename the column"),
        ("x,city", {"keep": ["x"], "features": ["a"]}, "two arrays or features would be named x"),
        (
            "file,city",
            {"keep": ["file"], "features": ["a"]},
            "file: is reserved for another purpose",
        ),
    ],
)
def test_arrays_that_would_have_no_name_of_their_own_are_rejected(
    kitchen: Kitchen, header: str, output: dict[str, Any], message: str
) -> None:
    kitchen.write({"houses.csv": f"a,{header}\n1,2,Rome\n2,3,Oslo\n"})
    assert message in kitchen.reject({**SOURCE, "output": {"format": "npz", **output}})


def test_integers_with_missing_values_are_exact_or_rejected(kitchen: Kitchen) -> None:
    output = {"format": "npz", "features": ["a"], "keep": ["n"]}
    kitchen.write({"houses.csv": f"a,n\n1,{2**53 + 1}\n2,\n"})
    assert "n: has integers above 2^53 and rows without one" in kitchen.reject({**SOURCE, "output": output})
    kitchen.write({"houses.csv": f"a,n\n1,{2**40 + 1}\n2,\n"})
    kitchen.make({**SOURCE, "output": output})
    assert kitchen.arrays()["data"]["n"][0] == 2**40 + 1


def test_rows_are_put_in_folders_by_day(kitchen: Kitchen) -> None:
    times = ["2024-01-01 23:59:59", "2024-01-02 00:00:00", "2024-01-01 00:00:00"]
    kitchen.write({"t.csv": "id,at\n" + "".join(f"{i},{time}\n" for i, time in enumerate(times))})
    kitchen.make({"source": {"path": "t.csv"}, "output": {"partition": "at", "format": "parquet"}})
    root = kitchen.fetch() / "data"
    assert sorted(path.name for path in root.iterdir()) == ["date=2024-01-01", "date=2024-01-02"]
    assert pq.read_table(root / "date=2024-01-01" / "data.parquet", partitioning=None)["id"].to_pylist() == [0, 2]
