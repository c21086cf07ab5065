"""Data validation of tables and images: what is read, the suite that is inferred, and drift from a reference."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlead_artifacts import fetch, publish, read_manifest
from fairlead_contracts.psi import measure_psi
from fairlead_data_validation.drift import TYPE
from fairlead_data_validation.errors import ValidationImpossible
from fairlead_data_validation.main import main
from fairlead_data_validation.suites import load_suite
from fairlead_data_validation.tables import Facts, build_table
from PIL import Image
from scipy import stats

Publish = Callable[..., str]


def people(rows: int, seed: int = 0, age: float = 40, city: str = "Rome") -> pd.DataFrame:
    """Return people of whom some have no income."""
    generator = np.random.default_rng(seed)
    income = np.where(generator.random(rows) < 0.1, np.nan, generator.lognormal(10, 0.5, rows))
    cities = np.where(generator.random(rows) < 0.7, city, "Oslo")
    ages = np.clip(generator.normal(age, 10, rows), 0, 120).astype(int)
    days = (pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(rows) % 9, "D")).date
    return pd.DataFrame({"id": np.arange(rows), "age": ages, "income": income, "city": cities, "day": days})


@pytest.fixture
def put(tmp_path: Path) -> Publish:
    """Return a function that publishes splits of a table as CSV, Parquet or folders by date."""

    def run(name: str, kind: str = "parquet", **splits: pd.DataFrame) -> str:
        folder, uri = tmp_path / f"{name}-files", (tmp_path / "store" / name).as_uri()
        for split, frame in splits.items():
            file = folder / f"{split.replace('__', '/')}.{kind}"
            file.parent.mkdir(parents=True, exist_ok=True)
            frame.to_csv(file, index=False) if kind == "csv" else frame.to_parquet(file)
        (folder / "recipe.json").write_text("{}")
        publish(folder, uri, kind="dataset", producer="tests/0")
        return uri

    return run


def run_suite(tmp_path: Path, uri: str, *entries: tuple[str, dict[str, Any]], code: int = 0) -> list[str]:
    """Validate, expect the exit code, and return the lines of what has failed."""
    file, out = tmp_path / "suite.json", tmp_path / "out.json"
    expectations = [{"type": kind, "kwargs": kwargs} for kind, kwargs in entries]
    file.write_text(json.dumps({"name": "s", "expectations": expectations}))
    assert main(["--dataset", uri, "--suite", str(file), "--out", str(out)]) == code
    failed: Any = read_manifest(json.loads(out.read_text())["uri"]).parameters["failed"]
    return list(failed)


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
    uri = put("people", kind, train=people(80), eval=people(20, 1))
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


def drift(uri: str, column: str, statistic: str = "psi", **more: Any) -> tuple[str, dict[str, Any]]:
    reference = {"uri": uri, "digest": read_manifest(uri).digest}
    return TYPE, {"column": column, "statistic": statistic, "reference": reference, **more}


COLUMNS = [("age", "psi"), ("age", "ks"), ("age", "ks_p"), ("age", "chi2_p"), ("city", "psi"), ("city", "chi2_p"),
           ("income", "ks"), ("income", "psi")]  # fmt: skip


def test_equal_distributions_do_not_drift_by_any_statistic(tmp_path: Path, put: Publish) -> None:
    old = put("old", train=people(2000))
    new = put("new", train=people(1500, 1))
    assert not run_suite(tmp_path, new, *(drift(old, column, statistic) for column, statistic in COLUMNS))


def test_moved_distributions_drift_by_every_statistic(tmp_path: Path, put: Publish) -> None:
    old = put("old", train=people(2000))
    moved = people(1500, 1, age=48, city="Bonn").assign(income=lambda frame: frame["income"] * 2)
    failed = run_suite(
        tmp_path, put("new", train=moved), *(drift(old, column, statistic) for column, statistic in COLUMNS), code=2
    )
    assert [line.split()[1].rstrip(":") for line in failed] == [column for column, _ in COLUMNS]
    assert failed[0].endswith("(1,500 rows, 2,000 in the reference)")


def test_missing_values_are_drift_too(tmp_path: Path, put: Publish) -> None:
    old, new = people(1000), people(1000, 1)
    new.loc[new.index % 2 == 0, "income"] = np.nan
    failed = run_suite(tmp_path, put("new", train=new), drift(put("old", train=old), "income"), code=2)
    assert failed[0].startswith(f"column income: {TYPE} (psi at most 0.2): psi ")


def test_the_figures_are_those_of_scipy_and_of_a_hand_count(tmp_path: Path, put: Publish) -> None:
    old, new = people(500), people(400, 3, age=43)
    uri = put("new", train=new)
    reference = put("old", train=old)
    run_suite(tmp_path, uri, drift(reference, "age", "ks", limit=1), drift(reference, "city", "chi2_p", limit=0),
              drift(reference, "city", limit=9))  # fmt: skip
    fetch(json.loads((tmp_path / "out.json").read_text())["uri"], tmp_path / "result")
    ks, chi2, psi = (each["value"] for each in json.loads((tmp_path / "result" / "result.json").read_text())["drift"])
    assert ks == pytest.approx(stats.ks_2samp(old["age"], new["age"]).statistic)
    names = old["city"].value_counts().index
    counts = [[int((frame["city"] == name).sum()) for name in names] for frame in (old, new)]
    assert chi2 == pytest.approx(stats.chi2_contingency(np.array(counts), correction=False).pvalue)
    assert psi == pytest.approx(measure_psi([*counts[0], 0, 0], [*counts[1], 0, 0]))


def test_splits_are_compared_and_the_reference_is_a_parent(tmp_path: Path, put: Publish) -> None:
    old = put("old", train=people(800), eval=people(200, 1, age=60))
    new = put("new", train=people(800, 2), eval=people(200, 3))
    assert not run_suite(tmp_path, new, drift(old, "age", split="train"))
    (line,) = run_suite(tmp_path, new, drift(old, "age", split="eval"), drift(old, "age", split="train"), code=2)
    assert "psi at most 0.2, split: eval" in line
    parents = read_manifest(json.loads((tmp_path / "out.json").read_text())["uri"]).parents
    assert [(each.name, each.uri) for each in parents] == [("dataset", new), ("reference", old)]


def test_another_reference_is_another_suite(tmp_path: Path, put: Publish) -> None:
    first, second = put("first", train=people(100)), put("second", train=people(100, 1))
    file, digests = tmp_path / "suite.json", []
    for uri in (first, second):
        kind, kwargs = drift(uri, "age")
        file.write_text(json.dumps({"name": "s", "expectations": [{"type": kind, "kwargs": kwargs}]}))
        digests.append(load_suite(file).digest)
    assert digests[0] != digests[1]


@pytest.mark.parametrize(
    ("column", "more", "reason"),
    [
        ("height", {}, "the dataset has no such column"),
        ("city", {"statistic": "ks"}, "got no numbers; expected statistic psi or chi2_p for categories"),
        ("age", {"split": "test"}, "the dataset has no rows in test"),
    ],
)
def test_what_cannot_be_compared_has_failed(
    tmp_path: Path, put: Publish, column: str, more: dict[str, Any], reason: str
) -> None:
    uri = put("people", train=people(50))
    (line,) = run_suite(tmp_path, uri, (TYPE, {**drift(uri, column)[1], **more}), code=2)
    assert line.endswith(reason)


def test_a_reference_that_is_gone_or_not_pinned_ends_without_a_result(
    tmp_path: Path, put: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    uri, file = put("people", train=people(50)), tmp_path / "suite.json"
    gone = {"uri": f"{uri}-gone", "digest": f"sha256:{'0' * 64}"}
    for reference, message in ((gone, "no artifact found"), ({"uri": uri}, "kwargs.reference.digest: got nothing")):
        entry = {"type": TYPE, "kwargs": {"column": "age", "reference": reference}}
        file.write_text(json.dumps({"name": "s", "expectations": [entry]}))
        assert main(["--dataset", uri, "--suite", str(file)]) == 1
        assert message in capsys.readouterr().err
    assert not Path(f"{uri.removeprefix('file://')}.validation").exists()


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
