"""Data validation with real datasets and suites: every result is published and bound to the dataset's digest."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_artifacts import fetch, publish, read_manifest, validation_uri
from fairlead_contracts.validation import digest_expectations
from fairlead_data_validation.errors import ValidationImpossible
from fairlead_data_validation.main import main, validate_dataset
from fairlead_data_validation.tables import build_table

from tests.support.outages import interrupt_store

SUITE: dict[str, Any] = {
    "name": "pictures",
    "expectations": [
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "x_max", "max_value": 16}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "x_nonfinite", "max_value": 0}},
        {"type": "expect_column_distinct_values_to_equal_set", "kwargs": {"column": "y", "value_set": [0, 1, 2]}},
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "x_sha256"}},
    ],
}


def make_dataset(tmp_path: Path, name: str = "data", **changes: Any) -> str:
    """Publish a dataset of two splits with pictures and labels; `changes` replace pixels by row."""
    generator = np.random.default_rng(1)
    folder, uri = tmp_path / f"{name}-files", (tmp_path / "store" / name).as_uri()
    folder.mkdir()
    for split, rows in (("train", 30), ("eval", 9)):
        x = generator.uniform(0, 16, (rows, 1, 4, 4)).astype(np.float32)
        for row, value in changes.items() if split == "train" else ():
            x[int(row.removeprefix("row"))] = value
        np.savez(folder / f"{split}.npz", x=x, y=np.arange(rows) % 3)
    publish(folder, uri, kind="dataset", producer="tests/0")
    return uri


def write_suite(tmp_path: Path, suite: Any = SUITE) -> Path:
    file = tmp_path / "suite.json"
    file.write_text(suite if isinstance(suite, str) else json.dumps(suite))
    return file


def test_a_good_dataset_passes_and_the_result_is_bound_to_its_digest(tmp_path: Path) -> None:
    uri, out = make_dataset(tmp_path), tmp_path / "out" / "result.json"
    digest = read_manifest(uri).digest
    command = [str(Path(sys.executable).with_name("fairlead-data-validation")), "--dataset", uri, "--digest", digest]
    done = subprocess.run(
        [*command, "--suite", write_suite(tmp_path), "--out", out], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "expect_column_values_to_be_between" in done.stdout
    result = json.loads(out.read_text())
    manifest = read_manifest(result["uri"], result["digest"])
    assert result["uri"] == validation_uri(uri, digest)
    assert result["success"] is True
    assert manifest.kind == "validation"
    of_suite = digest_expectations(SUITE["expectations"])
    assert manifest.parameters == {"success": True, "suite": "pictures", "suiteDigest": of_suite, "failed": []}
    assert [(parent.name, parent.digest) for parent in manifest.parents] == [("dataset", digest)]
    fetch(result["uri"], tmp_path / "files")
    assert json.loads((tmp_path / "files" / "result.json").read_text())["statistics"]["evaluated_expectations"] == 4
    assert "# Validation passed: pictures" in (tmp_path / "files" / "result.md").read_text()


def test_a_result_is_published_after_an_outage_of_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri, suite = make_dataset(tmp_path), write_suite(tmp_path)
    failed = interrupt_store(monkeypatch, f"{uri}.validation/")
    verdict = validate_dataset(uri, None, suite)
    assert failed == ["read_manifest", "write"]
    assert read_manifest(verdict.uri) == verdict.manifest


def test_a_bad_dataset_fails_with_its_reasons_published(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri = make_dataset(tmp_path, row3=200.0, row4=np.nan)
    out = tmp_path / "result.json"
    assert main(["--dataset", uri, "--suite", str(write_suite(tmp_path)), "--out", str(out)]) == 2
    result = json.loads(out.read_text())
    assert result["success"] is False
    failed = read_manifest(result["uri"]).parameters["failed"]
    assert failed == [
        "column x_max: expect_column_values_to_be_between (max_value: 16.0): 1 of 39 values unexpected (200.0)",
        "column x_nonfinite: expect_column_values_to_be_between (max_value: 0.0): 1 of 39 values unexpected (16)",
    ]
    shown = capsys.readouterr().out
    assert shown.count("FAILED") == 3
    assert result["uri"] in shown


def test_an_equal_result_is_an_equal_artifact(tmp_path: Path) -> None:
    uri, suite = make_dataset(tmp_path, row3=200.0), write_suite(tmp_path)
    first, second = (validate_dataset(uri, None, suite) for _ in range(2))
    assert first.manifest.digest == second.manifest.digest
    assert not second.kept


def test_a_failed_result_is_replaced_and_a_passing_one_is_final_for_its_suite(tmp_path: Path) -> None:
    uri, strict = make_dataset(tmp_path, row3=200.0), write_suite(tmp_path)
    assert not validate_dataset(uri, None, strict).result.success
    loose = write_suite(tmp_path, {"name": "loose", "expectations": SUITE["expectations"][1:]})
    passing = validate_dataset(uri, None, loose)
    assert read_manifest(passing.uri).parameters["suite"] == "loose"
    assert validate_dataset(uri, None, loose).kept
    again = validate_dataset(uri, None, write_suite(tmp_path))
    assert (again.result.success, again.kept) == (False, False)
    assert read_manifest(again.uri).parameters["suite"] == "pictures"


def test_an_expectation_on_a_missing_column_fails_with_the_reason(tmp_path: Path) -> None:
    kwargs = {"column": "brightness", "min_value": 0}
    suite = {"name": "s", "expectations": [{"type": "expect_column_values_to_be_between", "kwargs": kwargs}]}
    published = validate_dataset(make_dataset(tmp_path), None, write_suite(tmp_path, suite))
    (line,) = published.result.failed
    assert line.startswith(
        "column brightness: expect_column_values_to_be_between (min_value: 0.0): could not be evaluated"
    )
    assert "brightness" in line.partition("evaluated")[2]


def test_a_missing_class_is_named(tmp_path: Path) -> None:
    kwargs = {"column": "y", "value_set": [0, 1, 2, 7]}
    suite = {"name": "s", "expectations": [{"type": "expect_column_distinct_values_to_equal_set", "kwargs": kwargs}]}
    published = validate_dataset(make_dataset(tmp_path), None, write_suite(tmp_path, suite))
    assert published.result.failed[0].endswith("missing [7]")


SUITES = [
    ("{", "is not JSON"),
    ({"name": "s"}, "expected an object with name and at least one of expectations"),
    ({"name": "s", "expectations": []}, "expected an object with name and at least one of expectations"),
    ({"name": "s", "expectations": [{"type": "expect_luck", "kwargs": {}}]}, "expectations[0]: "),
    ({"name": "s", "expectations": [*SUITE["expectations"], {"kwargs": {}}]}, "expectations[4]: "),
]


@pytest.mark.parametrize(("suite", "reason"), SUITES, ids=[reason[:30] for _, reason in SUITES])
def test_a_file_that_is_not_a_suite_is_rejected_without_a_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], suite: Any, reason: str
) -> None:
    uri = make_dataset(tmp_path)
    assert main(["--dataset", uri, "--suite", str(write_suite(tmp_path, suite))]) == 1
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "store" / "data.validation").exists()


def test_a_dataset_with_another_digest_is_rejected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = "sha256:" + "0" * 64
    arguments = ["--dataset", make_dataset(tmp_path), "--digest", wrong, "--suite", str(write_suite(tmp_path))]
    assert main(arguments) == 1
    assert f"expected {wrong}" in capsys.readouterr().err


def test_the_table_has_a_row_per_example_and_what_was_measured(tmp_path: Path) -> None:
    x = np.array([[[1, 2], [3, np.inf]], [[np.nan] * 2] * 2, [[1, 2], [3, np.inf]]], np.float32)
    np.savez(tmp_path / "train.npz", x=x, y=np.array([5, 6, 5]))
    table = build_table(tmp_path)
    assert table["split"].tolist() == ["train"] * 3
    assert table["y"].tolist() == [5, 6, 5]
    assert table["x_nonfinite"].tolist() == [1, 4, 1]
    assert (table["x_min"][0], table["x_max"][0], table["x_mean"][0]) == (1, 3, 2)
    assert table["x_min"].isna().tolist() == [False, True, False]
    assert table["x_shape"][0] == "2x2"
    assert table["x_sha256"].nunique() == 2


def test_files_that_cannot_be_read_as_arrays_are_rejected_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", x=np.zeros((3, 2)), y=np.zeros(2))
    with pytest.raises(
        ValidationImpossible, match=r"train\.npz: x has 3 rows, y has 2 rows, expected equal numbers of rows"
    ):
        build_table(tmp_path)
    np.savez(tmp_path / "train.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValidationImpossible, match=r"train\.npz: is not an archive of plain arrays"):
        build_table(tmp_path)
    (tmp_path / "train.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(ValidationImpossible, match=r"train\.npz: is not an archive"):
        build_table(tmp_path)
    (tmp_path / "train.npz").rename(tmp_path / "train.txt")
    with pytest.raises(ValidationImpossible, match=r"dataset: got train\.txt, expected \.npz files"):
        build_table(tmp_path)


def test_the_report_of_a_failed_validation_is_kept_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri, page = make_dataset(tmp_path, row3=200.0), tmp_path / "page.html"
    assert main(["--dataset", uri, "--suite", str(write_suite(tmp_path)), "--html", str(page)]) == 2
    assert "Validation failed: pictures" in page.read_text()
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("report: "))
    assert Path(line.removeprefix("report: file://")).read_text() == page.read_text()


def test_a_result_of_an_earlier_version_stays_final(tmp_path: Path) -> None:
    """Earlier versions published no page, so their results have other digests."""
    uri, suite, old = make_dataset(tmp_path), write_suite(tmp_path), tmp_path / "old"
    new = validate_dataset(uri, None, suite)
    fetch(new.uri, old)
    (old / "result.html").unlink()
    manifest = new.manifest
    earlier = publish(old, new.uri, kind="validation", producer="fairlead-data-validation/0.1.0",
                      parents=manifest.parents, parameters=manifest.parameters, replace=True)  # fmt: skip
    assert earlier.digest != manifest.digest
    again = validate_dataset(uri, earlier.parents[0].digest, suite)
    assert (again.kept, again.manifest.digest) == (True, earlier.digest)
    assert read_manifest(new.uri).digest == earlier.digest
    assert "Validation passed" in again.page


def test_a_suite_may_be_an_artifact(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri, place, out = make_dataset(tmp_path), (tmp_path / "suites" / "v1").as_uri(), tmp_path / "out.json"
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "suite.json").write_bytes(write_suite(tmp_path).read_bytes())
    digest = publish(folder, place, kind="code", producer="tests/0").digest
    assert main(["--dataset", uri, "--suite", f"{place}@{digest}", "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    assert (result["success"], result["suite"], result["failed"]) == (True, "pictures", 0)
    assert result["expectations"] > 0
    assert main(["--dataset", uri, "--suite", f"{place}@sha256:{'0' * 64}"]) == 1
    assert main(["--dataset", uri, "--suite", place]) == 1
    assert "got no digest, expected URI@sha256:" in capsys.readouterr().err
