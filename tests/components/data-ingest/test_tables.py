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
