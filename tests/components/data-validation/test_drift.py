"""Expectations of drift from a reference dataset."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlead_artifacts import fetch, read_manifest
from fairlead_contracts.psi import measure_psi
from fairlead_data_validation.drift import TYPE, Drift, compare
from fairlead_data_validation.main import main
from fairlead_data_validation.suites import load_suite
from scipy import stats

from .conftest import Publish, people, run_suite


def drift(uri: str, column: str, statistic: str = "psi", **more: Any) -> tuple[str, dict[str, Any]]:
    reference = {"uri": uri, "digest": read_manifest(uri).digest}
    return TYPE, {"column": column, "statistic": statistic, "reference": reference, **more}


def drift_of(statistic: str, **more: Any) -> dict[str, Any]:
    reference = {"uri": "s3://datasets/old", "digest": f"sha256:{'0' * 64}"}
    return {"column": "x", "statistic": statistic, "reference": reference, **more}


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


def test_references_of_equal_content_are_read_apart(tmp_path: Path, put: Publish) -> None:
    frames = {"old": people(400), "copy": people(400), "other": people(400, 1)}
    references = [put(name, train=frame) for name, frame in frames.items()]
    new = put("new", train=people(400, 2))
    assert not run_suite(tmp_path, new, *(drift(uri, "age") for uri in references))
    parents = read_manifest(json.loads((tmp_path / "out.json").read_text())["uri"]).parents
    assert sorted(each.uri for each in parents) == sorted([new, *references])
    assert not run_suite(tmp_path, references[0], *(drift(uri, "age") for uri in references))


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


OUTSIDE = [
    ([5.0], [-100.0]), ([5.0], [100.0]), ([5], [4]), ([0] * 9 + [1], [-999]), ([0] * 9 + [1], [1]),
    ([0] * 9 + [-5, 8], [-3]), ([0.0, 1.0, math.inf], [math.inf]), ([0.0, 1.0], [-math.inf]), ([math.inf], [1.0]),
]  # fmt: skip


@pytest.mark.parametrize("statistic", ["psi", "chi2_p"])
@pytest.mark.parametrize(("before", "now"), OUTSIDE)
def test_values_that_the_reference_does_not_have_are_drift(
    tmp_path: Path, put: Publish, statistic: str, before: list[float], now: list[float]
) -> None:
    old = put("old", train=pd.DataFrame({"x": np.resize(before, 990)}))
    new = put("new", train=pd.DataFrame({"x": np.resize(now, 990)}))
    assert run_suite(tmp_path, new, drift(old, "x", statistic), code=2)
    assert not run_suite(tmp_path, old, drift(old, "x", statistic))


def test_equal_distributions_seldom_drift() -> None:
    generator, failed = np.random.default_rng(0), 0
    expectation = Drift.parse(drift_of("psi"), "kwargs")
    for _ in range(200):
        old, new = (pd.DataFrame({"x": generator.normal(size=300)}) for _ in range(2))
        failed += not compare(new, expectation, lambda _, old=old: old).success
    assert failed <= 4


@pytest.mark.parametrize(
    ("kind", "rows", "noise"),
    [("numbers", 30, "1.4"), ("numbers", 200, "0.22"), ("categories", 300, "0.5")],
)
def test_psi_of_too_few_rows_is_not_judged(kind: str, rows: int, noise: str) -> None:
    values = np.arange(rows) if kind == "numbers" else [f"name {index % 50}" for index in range(rows)]
    table = pd.DataFrame({"x": values})
    found = compare(table, Drift.parse(drift_of("psi"), "kwargs"), lambda _: table)
    words = (
        f"too few rows: of {rows} and {rows} in the reference, psi is up to {noise} without drift; expected at most 0.2"
    )
    assert (found.success, found.value, found.observed) == (False, None, words)
    assert compare(table, Drift.parse(drift_of("psi", limit=2), "kwargs"), lambda _: table).success
