"""Data validation of tables and images: what is read, and the suite that is inferred."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_artifacts import publish, read_manifest
from fairlead_data_validation.drift import TYPE
from fairlead_data_validation.errors import ValidationImpossible
from fairlead_data_validation.main import main
from fairlead_data_validation.suites import load_suite
from fairlead_data_validation.tables import Facts, build_table
from PIL import Image

from .conftest import Publish, people, run_suite


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_are_validated_by_column_and_split(tmp_path: Path, put: Publish, kind: str) -> None:
    uri = put("people", kind, train=people(80), eval=people(20, 1))
    failed = run_suite(
        tmp_path, uri,
        ("expect_column_distinct_values_to_equal_set", {"column": "split", "value_set": ["train", "eval"]}),
        ("expect_column_values_to_be_unique", {"column": "id"}),
        ("expect_column_values_to_be_in_set", {"column": "city", "value_set": ["Rome"]}),
        ("expect_column_values_to_not_be_null", {"column": "income", "mostly": 0.5}),
        code=2,
    )  # fmt: skip
    assert [line.partition(":")[0] for line in failed] == ["column id", "column city"]


def test_files_by_date_are_one_split(tmp_path: Path, put: Publish) -> None:
    days = {f"train__date=2024-01-0{day}__data": people(10, day) for day in (1, 2)}
    put("people", **days, eval=people(5))
    table = build_table(tmp_path / "people-files")
    assert table["split"].value_counts().to_dict() == {"train": 20, "eval": 5}


def test_the_matrix_of_a_table_has_its_columns_again(tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", x=np.array([[1, 2], [3, 4]], np.float32), y=np.array([0, 1]), site=["a", "b"])
    table = build_table(tmp_path, Facts.read({"features": ["age", "size"], "labels": ["no", "yes"]}))
    assert table.to_dict("list") == {
        "split": ["train"] * 2,
        "site": ["a", "b"],
        "age": [1, 3],
        "size": [2, 4],
        "y": [0, 1],
    }
    for features in (["age"], ["age", "age"], "as", [1, 2], None):
        assert "x_max" in build_table(tmp_path, Facts.read({"features": features})).columns


def test_only_the_columns_of_the_suite_are_read(tmp_path: Path, put: Publish) -> None:
    put("people", train=people(10))
    file = tmp_path / "suite.json"
    between = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "age", "max_value": 120}}
    count = {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 10}}
    file.write_text(json.dumps({"name": "s", "expectations": [between, count]}))
    columns = load_suite(file).columns
    assert columns == {"age"}
    assert list(build_table(tmp_path / "people-files", columns=columns)) == ["split", "age"]
    assert len(build_table(tmp_path / "people-files", columns=frozenset())) == 10
    everything = {"type": "expect_table_column_count_to_equal", "kwargs": {"value": 4}}
    file.write_text(json.dumps({"name": "s", "expectations": [between, everything]}))
    assert load_suite(file).columns is None
    filtered = {**between, "kwargs": {**between["kwargs"], "row_condition": "id > 3", "condition_parser": "pandas"}}
    file.write_text(json.dumps({"name": "s", "expectations": [filtered]}))
    assert load_suite(file).columns is None


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.csv": "x,y\n1,2,3\n4,5\n1,2,3,4\n"}, "a.csv: cannot be read as csv: "),
        ({"a.csv": 'x,y\n1,"abc\n2,"def\n'}, "a.csv: cannot be read as csv: line 3: "),
        ({"a.csv": 'x,y\n1,"abc"d\n'}, "a.csv: cannot be read as csv: line 2: "),
        ({"a.csv": 'x,y\n1,2\n3,"4\n5,6\n'}, "a.csv: cannot be read as csv: line 4: unexpected end of data"),
        ({"a.csv": "x,y,x\n1,2,3\n"}, "a.csv: cannot be read as csv: has several columns x"),
        ({"a.csv": b"x\n\xff\xfe\n"}, "a.csv: cannot be read as csv: column x is not UTF-8"),
        ({"a.csv": ""}, "a.csv: cannot be read as csv: Empty CSV file"),
        ({"a.csv": "x,y\n"}, "dataset: a.csv has no rows, expected at least one"),
        ({"a.parquet": b"PAR1 cut"}, "a.parquet: cannot be read as parquet: "),
        ({"a.parquet": b"PAR1", "b.csv": "x\n1\n"}, "dataset: got a.parquet, b.csv, expected .npz files"),
        ({"cat/a.png": b"\x89PNG\r\n\x1a\n cut"}, "cat/a.png: does not decode: "),
    ],
)
def test_files_that_cannot_be_read_are_rejected_by_name(
    tmp_path: Path, files: dict[str, str | bytes], message: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ValidationImpossible) as rejected:
        build_table(tmp_path)
    assert message in str(rejected.value)


def write_pets(folder: Path) -> None:
    for index in range(24):
        file = folder / ("eval" if index % 4 == 0 else "train") / ("cat" if index % 3 else "dog") / f"{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(index).integers(0, 256, (8, 6), np.uint8)
        Image.fromarray(pixels).save(file)


def test_images_are_validated_by_what_is_known_of_them(tmp_path: Path) -> None:
    write_pets(tmp_path / "files")
    uri = (tmp_path / "store" / "pets").as_uri()
    classes = {"classes": {"cat": 16, "dog": 8}}
    publish(tmp_path / "files", uri, kind="dataset", producer="tests/0", parameters=classes)
    failed = run_suite(
        tmp_path, uri,
        ("expect_column_distinct_values_to_equal_set", {"column": "class", "value_set": ["cat", "dog"]}),
        ("expect_column_distinct_values_to_equal_set", {"column": "split", "value_set": ["train", "eval"]}),
        ("expect_column_values_to_be_unique", {"column": "sha256"}),
        ("expect_column_values_to_be_between", {"column": "width", "min_value": 32}),
        code=2,
    )  # fmt: skip
    assert failed == [
        "column width: expect_column_values_to_be_between (min_value: 32.0): 24 of 24 values unexpected (6)"
    ]


def infer(tmp_path: Path, uri: str, *more: str) -> tuple[Path, dict[str, Any]]:
    file = tmp_path / "inferred.json"
    assert main(["infer", "--dataset", uri, "--out", str(file), *more]) == 0
    return file, json.loads(file.read_text())


@pytest.mark.parametrize("more", [(), ("--drift",)])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_dataset_meets_the_suite_that_is_inferred_from_it(
    tmp_path: Path, put: Publish, kind: str, more: tuple[str, ...]
) -> None:
    uri = put("people", kind, train=people(320), eval=people(80, 1))
    file, suite = infer(tmp_path, uri, *more)
    assert main(["--dataset", uri, "--suite", str(file)]) == 0
    kinds = {(entry["type"], entry["kwargs"].get("column")) for entry in suite["expectations"]}
    assert ("expect_table_columns_to_match_set", None) in kinds
    assert ("expect_column_values_to_be_in_set", "city") in kinds
    assert ("expect_column_mean_to_be_between", "age") in kinds
    assert ((TYPE, "income") in kinds) == bool(more)


def test_an_inferred_suite_finds_what_is_new(tmp_path: Path, put: Publish) -> None:
    file, _ = infer(tmp_path, put("old", train=people(200)))
    new = people(200, 1, city="Bonn").assign(age=lambda frame: frame["age"] * 12, height=180)
    out = tmp_path / "out.json"
    assert main(["--dataset", put("new", train=new), "--suite", str(file), "--out", str(out)]) == 2
    failed: Any = read_manifest(json.loads(out.read_text())["uri"]).parameters["failed"]
    text = "\n".join(failed)
    for words in ("expect_table_columns_to_match_set", "column age: expect_column_values_to_be_between",
                  "column city: expect_column_values_to_be_in_set", "column age: expect_column_mean"):  # fmt: skip
        assert words in text


def test_an_inferred_suite_of_arrays_and_images_is_met(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    arrays = tmp_path / "arrays"
    arrays.mkdir()
    for split, rows in (("train", 60), ("eval", 20)):
        np.savez(arrays / f"{split}.npz", x=generator.normal(size=(rows, 3, 2)), y=np.arange(rows) % 3)
    write_pets(tmp_path / "pets")
    for name in ("arrays", "pets"):
        uri = (tmp_path / "store" / name).as_uri()
        publish(tmp_path / name, uri, kind="dataset", producer="tests/0")
        file, _ = infer(tmp_path, uri)
        assert main(["--dataset", uri, "--suite", str(file)]) == 0


def test_the_page_has_no_scripts_and_escapes_what_it_shows(tmp_path: Path, put: Publish) -> None:
    frame = people(40).rename(columns={"city": "<script>alert(1)</script>"})
    uri, page = put("people", train=frame), tmp_path / "new" / "page.html"
    file, _ = infer(tmp_path, uri, "--name", "<b>suite</b>")
    assert main(["--dataset", uri, "--suite", str(file), "--html", str(page)]) == 0
    text = page.read_text()
    assert "<script" not in text
    assert "<b>" not in text
    assert "<td>income</td><td>float64</td>" in text
    assert "Validation passed" in text


def test_csv_values_with_leading_zeros_stay_texts(tmp_path: Path) -> None:
    rows = ['"007",01.5,0,-01,0.5,1', "8,2,10,2,007,", ",,,,,"]
    (tmp_path / "a.csv").write_text("\n".join(["code,b,count,d,e,f", *rows]) + "\n")
    table = build_table(tmp_path, columns={"code", "b", "count", "d", "e", "f"})
    values = {name: table[name].dropna().tolist() for name in table}
    expected = {"code": ["007", "8"], "b": ["01.5", "2"], "count": [0, 10], "d": ["-01", "2"], "e": ["0.5", "007"]}
    assert values == {"split": ["a"] * 3, **expected, "f": [1]}


def test_csv_is_read_with_quoted_lines_and_long_texts(tmp_path: Path) -> None:
    text = 'one\n"two", ' + "x" * 300_000
    (tmp_path / "a.csv").write_text(
        '\ufeff"a","b"\r\n1,"' + text.replace('"', '""') + '"\r\n\r\n2,it"s\r\n', newline=""
    )
    assert build_table(tmp_path)[["a", "b"]].to_numpy().tolist() == [[1, text], [2, 'it"s']]


def test_csv_columns_are_texts_in_all_splits_if_they_are_in_one(tmp_path: Path) -> None:
    for name, code in (("train", "007"), ("eval", "08.0"), ("test", "8.10")):
        (tmp_path / f"{name}.csv").write_text(f"code,age\n{code},7\n")
    table = build_table(tmp_path)
    assert table["code"].tolist() == ["08.0", "8.10", "007"]
    assert table["age"].tolist() == [7, 7, 7]
