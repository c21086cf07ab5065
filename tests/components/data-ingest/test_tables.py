"""Tables: what is accepted, what is rejected and how the message says where."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from .conftest import Kitchen

GOOD = "id,size,city,built,garden\n1,80.5,Rome,1999-01-31,true\n2,60,Oslo,2005-06-01,false\n3,,Rome,2010-12-24,\n"
SOURCE: dict[str, Any] = {"source": {"path": "houses.csv"}}
SCHEMA = {
    "id": {"type": "integer", "unique": True},
    "size": {"type": "number", "nullable": True, "min": 10, "max": 1000},
    "city": {"type": "text", "values": ["Rome", "Oslo"]},
    "built": {"type": "date"},
    "garden": {"type": "boolean", "nullable": True},
}


def test_types_are_found_in_the_values(kitchen: Kitchen) -> None:
    kitchen.write({"houses.csv": GOOD})
    manifest = kitchen.make({**SOURCE, "output": {"format": "parquet"}})
    assert (manifest.parameters["rows"], manifest.parameters["format"]) == (3, "parquet")
    (rows,) = kitchen.rows().values()
    assert [type(value).__name__ for value in rows[0].values()] == ["int", "float", "str", "date", "bool"]
    assert rows[2]["size"] is None


def test_a_schema_is_what_the_dataset_has(kitchen: Kitchen) -> None:
    kitchen.write({"houses.csv": GOOD})
    manifest = kitchen.make({**SOURCE, "columns": SCHEMA, "output": {"format": "csv"}})
    assert manifest.parameters["columns"] == list(SCHEMA)
    text = (kitchen.fetch() / "data.csv").read_text()
    assert text.splitlines()[1] == '1,80.5,"Rome",1999-01-31,true'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("", "houses.csv: is empty, expected a header and rows", id="empty"),
        pytest.param("id,size\n", "houses.csv: has a header and no rows", id="no rows"),
        pytest.param("id,size\n1,2\n3\n", "houses.csv: row 2: got 1 fields, expected 2", id="a short row"),
        pytest.param("id,id\n1,2\n", "houses.csv: two columns are named 'id'", id="two columns of one name"),
        pytest.param(b"id,city\n1,Krak\xf3w\n", "houses.csv: line 2: byte 0xf3 is not UTF-8", id="another encoding"),
        pytest.param(
            'id,city\n1,a\n2,"Rome\n3,b\n', "houses.csv: row 2: a quote is opened and never", id="an open quote"
        ),
        pytest.param('id,city\n1,"abc\n2,"def\n', "houses.csv: line 3: ',' expected after '\"'", id="two rows in one"),
        pytest.param(
            "id,x\n1,2\n1,2\n2,2\n1,2\n", "row 2 equals row 1; houses.csv row 4 equals row 1", id="duplicates"
        ),
    ],
)
def test_a_csv_file_that_is_not_whole_is_rejected_by_row(kitchen: Kitchen, content: Any, message: str) -> None:
    kitchen.write({"houses.csv": content})
    assert message in kitchen.reject(SOURCE)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("city", "town", "houses.csv: has no column city; got id, size, town, built, garden"),
        ("city", "town", "houses.csv: got the columns town, expected them in columns, or otherColumns: drop or keep"),
        ("80.5", "big", "houses.csv: column size: got row 1: 'big'; expected a finite number"),
        ("80.5", "inf", "houses.csv: column size: got row 1: 'inf'; expected a finite number"),
        ("80.5", "5", "houses.csv: column size: got row 1: 5.0; expected at least 10"),
        ("60", "6e4", "houses.csv: column size: got row 2: 60000.0; expected at most 1000"),
        ("Oslo", "Bonn", "houses.csv: column city: got row 2: 'Bonn'; expected one of Rome, Oslo"),
        ("\n3,", "\n1,", "houses.csv: column id: got row 3: 1; expected different values"),
        ("\n3,", "\n,", "houses.csv: column id: got row 3: None; expected a value"),
        ("\n3,", "\n3.5,", "houses.csv: column id: got row 3: '3.5'; expected an integer"),
        ("1999-01-31", "31.1.1999", "houses.csv: column built: got row 1: '31.1.1999'; expected a date"),
    ],
)
def test_what_the_schema_does_not_allow_is_named(kitchen: Kitchen, old: str, new: str, message: str) -> None:
    kitchen.write({"houses.csv": GOOD.replace(old, new, 1)})
    assert message in kitchen.reject({**SOURCE, "columns": SCHEMA})


def test_all_problems_are_named_at_once_the_first_rows_of_each_with_their_number(kitchen: Kitchen) -> None:
    kitchen.write({"houses.csv": "id,size\n" + "".join(f"{i},{'x' if i % 2 else i}\n" for i in range(100)) + "a,1\n"})
    columns = {"id": {"type": "integer"}, "size": {"type": "number"}}
    message = kitchen.reject({**SOURCE, "columns": columns})
    assert "column id: got row 101: 'a'; expected an integer" in message
    assert "column size: got row 2: 'x', row 4: 'x', row 6: 'x' and 47 more; expected a finite number" in message


@pytest.mark.parametrize(
    ("text", "encoding", "options"),
    [
        ("id;city\n1;Kraków\n2;Rome, Italy\n", "utf-8", {}),
        ("id\tcity\n1\tKraków\n2\tRome, Italy\n", "utf-8-sig", {}),
        ("id|city\n1|Kraków\n2|Rome, Italy\n", "utf-16", {}),
        ("id;city\n1;Kraków\n2;Rome, Italy\n", "iso8859-2", {"encoding": "iso8859-2"}),
        ("id:city\n1:Kraków\n2:Rome, Italy\n", "utf-8", {"delimiter": ":"}),
        ('id,city\n1,Kraków\n2,"Rome, Italy"\n', "utf-8", {}),
    ],
)
def test_delimiters_and_encodings_are_found_or_named(
    kitchen: Kitchen, text: str, encoding: str, options: dict[str, str]
) -> None:
    kitchen.write({"houses.csv": text.encode(encoding)})
    kitchen.make({**SOURCE, "csv": options, "output": {"format": "parquet"}})
    assert kitchen.rows()["data"] == [{"id": 1, "city": "Kraków"}, {"id": 2, "city": "Rome, Italy"}]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_blank_line_of_one_column_is_a_missing_value(kitchen: Kitchen, end: str) -> None:
    kitchen.write({"houses.csv": f"id\n1\n\n3{end}"})
    kitchen.make({**SOURCE, "output": {"format": "parquet"}})
    assert [row["id"] for row in kitchen.rows()["data"]] == [1, None, 3]


def test_a_blank_line_before_the_header_and_a_long_field_are_read(kitchen: Kitchen) -> None:
    kitchen.write({"houses.csv": f"\nid,city\n1,{'x' * 3_000_000}\n"})
    kitchen.make({**SOURCE, "output": {"format": "parquet"}})
    assert len(kitchen.rows()["data"][0]["city"]) == 3_000_000


def test_a_line_break_in_a_field_is_part_of_it(kitchen: Kitchen) -> None:
    kitchen.write({"houses.csv": 'id,city\n1,"a\nb"\n2,c\n'})
    kitchen.make({**SOURCE, "output": {"format": "parquet"}})
    assert kitchen.rows()["data"][0]["city"] == "a\nb"


def test_other_columns_are_dropped_or_kept_if_the_recipe_says_so(kitchen: Kitchen) -> None:
    kitchen.write({"houses.csv": GOOD})
    recipe = {**SOURCE, "columns": {"size": {"type": "number", "nullable": True}}, "output": {"format": "parquet"}}
    assert kitchen.make({**recipe, "otherColumns": "drop"}).parameters["columns"] == ["size"]
    kitchen.uri += "2"
    assert kitchen.make({**recipe, "otherColumns": "keep"}).parameters["columns"] == ["size", "id", *list(SCHEMA)[2:]]


def test_the_files_of_a_folder_are_one_table_and_errors_name_the_file(kitchen: Kitchen) -> None:
    kitchen.write({"days/b.csv": "id,x\n2,5\n3,oops\n", "days/a.csv": "id,x\n1,4\n", "days/note.md": "hello"})
    recipe = {"source": {"path": "days", "files": "*.csv"}, "columns": {n: {"type": "integer"} for n in ("id", "x")}}
    assert "b.csv: column x: got row 2: 'oops'; expected an integer" in kitchen.reject(recipe)
    kitchen.write({"days/b.csv": "id,x\n2,5\n"})
    kitchen.make({**recipe, "output": {"format": "parquet"}})
    assert [row["id"] for row in kitchen.rows()["data"]] == [1, 2]
    kitchen.write({"days/b.csv": "id,y\n2,5\n"})
    kitchen.uri += "2"
    assert "b.csv: has no column x; got id, y" in kitchen.reject(recipe)
    kept = {"source": recipe["source"], "columns": {"id": {"type": "integer"}}, "otherColumns": "keep"}
    message = kitchen.reject(kept)
    assert "b.csv: has no column x; got id, y" in message
    assert "b.csv: got the columns y, expected those of the first file alone" in message


def test_parquet_files_are_read_with_their_types(kitchen: Kitchen) -> None:
    table = pa.table({"n": pa.array([1, 2], pa.int8()), "f": pa.array([0.5, float("nan")], pa.float32()),
                      "c": pa.array(["a", "b"]).dictionary_encode()})  # fmt: skip
    pq.write_table(table, kitchen.folder / "t.parquet")
    kitchen.make({"source": {"path": "t.parquet"}})
    assert kitchen.rows()["data"] == [{"n": 1, "f": 0.5, "c": "a"}, {"n": 2, "f": None, "c": "b"}]


def test_parquet_files_that_no_dataset_can_have_are_rejected(kitchen: Kitchen) -> None:
    recipe = {"source": {"path": "t.parquet"}}
    pq.write_table(pa.table({"n": [1], "list": [[1, 2]]}), kitchen.folder / "t.parquet")
    assert "t.parquet: column list: has the type list<element: int64>" in kitchen.reject(recipe)
    content = (kitchen.folder / "t.parquet").read_bytes()
    kitchen.write({"t.parquet": content[:-20]})
    assert "t.parquet: is no intact parquet file" in kitchen.reject(recipe)
    pq.write_table(pa.table({"n": np.zeros(100_000)}), kitchen.folder / "t.parquet")
    limited = {"source": {"path": "t.parquet", "sizeLimit": 600_00}}
    assert (kitchen.folder / "t.parquet").stat().st_size < 10_000
    assert "got over 60,000 bytes in memory, expected at most source.sizeLimit" in kitchen.reject(limited)


def test_texts_that_would_be_a_huge_array_are_rejected(kitchen: Kitchen) -> None:
    kitchen.write({"houses.csv": "id,note\n" + "".join(f"{i},{'x' * (10_000 if i == 7 else 1)}\n" for i in range(100))})
    recipe = {"source": {"path": "houses.csv", "sizeLimit": 1_000_000}, "output": {"format": "npz", "keep": ["note"]}}
    assert "output: the array of note: got 4,000,000 bytes" in kitchen.reject(recipe)


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
            "two arrays would be named size",
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
        ("y,city", {"keep": ["y"], "label": "city", "features": ["a"]}, "two arrays would be named y"),
        ("x,city", {"keep": ["x"], "features": ["a"]}, "two arrays would be named x"),
        ("file,city", {"keep": ["file"], "features": ["a"]}, "file: numpy reserves this name; rename the column"),
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
