"""Publishing: whole or not at all, once for the same input, and repeatable from the artifact."""

import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fairlead_artifacts import Manifest, read_manifest
from fairlead_data_ingest.main import main

from tests.support.object_stores import ObjectStore

from .conftest import Kitchen, read_json, run_apart

TABLE = "id,size,kind\n" + "".join(f"{i},{i * 3 % 17},{'a' if i % 3 else 'b'}\n" for i in range(200))
RECIPE: dict[str, Any] = {
    "source": {"path": "t.csv"},
    "split": {"stratify": "kind"},
    "output": {"format": "npz", "label": "kind"},
}


def test_the_same_input_is_the_same_dataset_and_is_published_once(kitchen: Kitchen) -> None:
    kitchen.write({"t.csv": TABLE})
    first = kitchen.make(RECIPE)
    written = Path(kitchen.uri.removeprefix("file://"), "train.npz").stat().st_mtime_ns
    assert kitchen.make(RECIPE).digest == first.digest
    assert Path(kitchen.uri.removeprefix("file://"), "train.npz").stat().st_mtime_ns == written


def test_other_data_at_the_same_uri_are_an_error(kitchen: Kitchen) -> None:
    kitchen.write({"t.csv": TABLE})
    first = kitchen.make(RECIPE)
    kitchen.write({"t.csv": TABLE + "200,1,a\n"})
    assert kitchen.run(RECIPE) == 2
    assert "has other content" in kitchen.errors()
    assert read_manifest(kitchen.uri) == first


def test_a_dataset_can_be_made_again_from_the_recipe_in_it(kitchen: Kitchen) -> None:
    kitchen.write({"t.csv": TABLE})
    first = kitchen.make({**RECIPE, "augment": {"noise": 0.05, "copies": 2}})
    again = kitchen.folder / "again"
    again.mkdir()
    shutil.copy(kitchen.fetch() / "recipe.json", again)
    shutil.copy(kitchen.folder / "t.csv", again)
    assert main(["--recipe", str(again / "recipe.json"), "--to", f"{kitchen.uri}2"]) == 0
    assert read_manifest(f"{kitchen.uri}2").digest == first.digest


def test_what_was_made_is_written_for_people_and_for_the_next_step(kitchen: Kitchen) -> None:
    kitchen.write({"t.csv": TABLE.replace("kind", "k<b>ind")})
    recipe = {**RECIPE, "split": {}, "output": {"format": "npz", "label": "k<b>ind"}}
    out, page = kitchen.folder / "new" / "out.json", kitchen.folder / "new" / "page.md"
    assert kitchen.run(recipe, "--out", str(out), "--summary", str(page)) == 0
    result = read_json(out)
    assert result["digest"] == read_manifest(kitchen.uri).digest
    assert sum(result["splits"].values()) == 200
    text = page.read_text()
    assert "| class | train | eval |" in text
    assert "<b>" not in text


def test_a_uri_that_is_none_is_rejected_before_the_work(kitchen: Kitchen) -> None:
    kitchen.uri = "ftp://host/data"
    for arguments in ((), ("--check",)):
        assert kitchen.run({"source": {"path": "there is no such file"}}, *arguments) == 2
        assert "scheme 'ftp' is not supported" in kitchen.errors()


def test_a_check_publishes_nothing(kitchen: Kitchen) -> None:
    kitchen.write({"t.csv": TABLE})
    out = kitchen.folder / "out.json"
    assert kitchen.run(RECIPE, "--check", "--out", str(out)) == 0
    assert not out.exists()
    assert not Path(kitchen.uri.removeprefix("file://")).exists()


def test_noise_changes_numbers_of_the_training_split_alone(kitchen: Kitchen) -> None:
    lines = "".join(f"{i},{i * 1.5},{'' if i % 9 == 0 else i / 7}\n" for i in range(300))
    kitchen.write({"t.csv": "id,a,b\n" + lines})
    recipe = {"source": {"path": "t.csv"}, "split": {"group": ["id"]}, "output": {"format": "parquet"}}
    kitchen.make({**recipe, "augment": {"noise": 0.01, "copies": 2}})
    rows = kitchen.rows()
    assert len(rows["train"]) % 3 == 0
    count = len(rows["train"]) // 3
    for original, first, second in zip(
        rows["train"][:count], rows["train"][count:-count], rows["train"][-count:], strict=True
    ):
        assert original["id"] == first["id"] == second["id"]
        assert 0 < abs(first["a"] - original["a"]) < 10
        assert (first["b"] is None) == (original["b"] is None)
        assert first["a"] != second["a"]
    assert all(row["a"] == row["id"] * 1.5 for row in rows["eval"])


@pytest.mark.parametrize("where", ["file", "s3"])
def test_of_two_runs_with_other_data_at_one_uri_one_wins_whole(
    kitchen: Kitchen, where: str, request: pytest.FixtureRequest
) -> None:
    variables = dict(os.environ)
    if where == "s3":
        store: ObjectStore = request.getfixturevalue("object_store")
        variables |= store.variables()
        kitchen.uri = "s3://data/race"
        for name, value in store.variables().items():
            request.getfixturevalue("monkeypatch").setenv(name, value)
    running = []
    for index in range(3):
        kitchen.write({f"{index}.csv": TABLE.replace("id,", f"id{index},", 1)})
        recipe = kitchen.folder / f"{index}.yaml"
        recipe.write_text(f"source: {{path: {index}.csv}}\nsplit: {{}}\noutput: {{format: parquet}}\n")
        running.append(run_apart("--recipe", str(recipe), "--to", kitchen.uri, **variables))
    codes = [(process.communicate(timeout=300)[1], process.returncode) for process in running]
    # The others find its content, or that it is still being published.
    assert sorted(min(code, 1) for _, code in codes) == [0, 1, 1], codes
    winner = [code for _, code in codes].index(0)
    manifest: Manifest = read_manifest(kitchen.uri)
    folder = kitchen.fetch()
    names: Any = manifest.parameters["columns"]
    assert names[0] == f"id{winner}"
    assert sum(pq.read_table(file).num_rows for file in folder.glob("*.parquet")) == 200


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source: {path: t.csv}\nsplits: {}\n", "recipe.yaml: splits: got {}, expected no field of this name"),
        ("source: {}\n", "recipe.yaml: source: got [], expected exactly one of path, url, object, artifact, query"),
        ("source: {path: a, url: 'http://b'}\n", "expected exactly one of path, url"),
        ("source: {path: t.csv}\naugment: {copies: 1}\n", "augment: got neither or both, expected one of"),
        ("source: [\n", "recipe.yaml: is not YAML: while parsing"),
        ("source: &a {path: t.csv}\nsplit: *a\n", "recipe.yaml: is not YAML: has an alias"),
        ("!!python/object/apply:os.system ['true']\n", "recipe.yaml: is not YAML: could not determine a constructor"),
        ("source: {path: t.csv}\noutput: {label: 5}\n", "recipe.yaml: output.label: got 5, expected a string"),
        ("source: {path: t.csv}\n2024-01-01: 1\n", "recipe.yaml: is not YAML: keys must be str"),
        ("source: {path: t.csv}\ncsv: {delimiter: é}\n", "csv.delimiter: got 'é', expected a string that matches"),
        ("source: {path: t.csv}\ncsv: {encoding: zip}\n", "csv.encoding: got 'zip', expected a known one"),
        (
            "source: {path: t.csv}\ncolumns: {kind: {type: text, min: 1}}\n",
            "columns.kind: got min or max of a text, expected none",
        ),
        ("x: " + "y" * 300_000, "recipe.yaml: got 300003 bytes, expected at most 262144"),
    ],
)
def test_a_recipe_that_is_wrong_is_rejected_by_field(kitchen: Kitchen, text: str, message: str) -> None:
    kitchen.write({"t.csv": TABLE})
    assert message in kitchen.reject(text)
