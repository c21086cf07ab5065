"""The suite that is inferred from a dataset: the dataset always meets it, whatever its columns are."""

import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlead_artifacts import publish
from fairlead_data_validation.main import main

from .conftest import Publish


def infer(tmp_path: Path, uri: str, *more: str) -> tuple[Path, dict[str, Any]]:
    file = tmp_path / "inferred.json"
    assert main(["infer", "--dataset", uri, "--out", str(file), *more]) == 0
    return file, json.loads(file.read_text())


def hostile_columns() -> dict[str, Any]:
    """Return columns whose ranges, means or types are easily got wrong."""
    count = np.arange(400)
    halves = [math.nan, math.inf, -math.inf, 1.5] * 100
    return {
        "constant": np.full(400, 2 / 3),
        "milliseconds": 1.7e12 + count / 7,
        "microseconds": 1_700_000_000_123_457 + count // 2,
        "nanoseconds": 1_700_000_000_123_456_789 + count // 2,
        "unsigned": np.full(400, 2**64 - 1, np.uint64) - count // 2,
        "infinite": np.where(count % 2, np.inf, 1.5),
        "all infinite": np.full(400, -np.inf),
        "both": halves,
        "huge": np.where(count % 2, 1.7e308, -1.7e308),
        "tiny": np.where(count % 2, 5e-324, 1e-310),
        "near": 1 + (count % 3) * 2.3e-16,
        "float32": (count / 3).astype(np.float32),
        "float16": (count * 160.0).astype(np.float16),
        "share_nonfinite": count / 399,
        "seldom": [0.1, *[None] * 399],
        "nothing": [None] * 400,
        "flags": count % 2 == 0,
        "maybe": pd.array([True, None] * 200, "boolean"),
        "counts": pd.array([2**60 + 1, None] * 200, "Int64"),
        "codes": ["007", "", " ", "2024-01-01"] * 100,
        "bytes": [b"\xff", b""] * 200,
        "prices": [Decimal("0.10"), None] * 200,
        "lists": [[1, 2], []] * 200,
        "objects": [{"a": 1}, None] * 200,
        "times": pd.date_range("2024-01-01", periods=400, tz="UTC"),
        "spans": pd.to_timedelta(count // 2, "s"),
        "groups": pd.Categorical(["a", "b"] * 200),
    }


@pytest.mark.parametrize("name", hostile_columns())
def test_a_hostile_column_meets_the_suite_that_is_inferred_from_it(tmp_path: Path, put: Publish, name: str) -> None:
    uri, page = put("data", train=pd.DataFrame({name: hostile_columns()[name]})), tmp_path / "page.html"
    file, suite = infer(tmp_path, uri, "--drift")
    json.dumps(suite, allow_nan=False)
    assert main(["--dataset", uri, "--suite", str(file), "--html", str(page)]) == 0
    assert f"<td>{name}</td>" in page.read_text()


def test_arrays_of_complex_numbers_meet_the_suite_that_is_inferred_from_them(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    np.savez(tmp_path / "files" / "train.npz", x=np.arange(40) * (1 + 2j), y=np.arange(40) % 3)
    uri = (tmp_path / "store" / "data").as_uri()
    publish(tmp_path / "files", uri, kind="dataset", producer="tests/0")
    file, _ = infer(tmp_path, uri, "--drift")
    assert main(["--dataset", uri, "--suite", str(file)]) == 0


def test_an_inferred_range_is_near_the_values(tmp_path: Path, put: Publish) -> None:
    frame = pd.DataFrame({"size": np.linspace(10, 20, 41), "year": np.arange(1980, 2021)[::-1].repeat(1)})
    frame = pd.concat([frame, frame])
    _, suite = infer(tmp_path, put("data", train=frame))
    ranges = {
        entry["kwargs"]["column"]: (entry["kwargs"]["min_value"], entry["kwargs"]["max_value"])
        for entry in suite["expectations"] if entry["type"] == "expect_column_values_to_be_between"
    }  # fmt: skip
    assert ranges == {"size": (9, 21), "year": (1976, 2024)}
