"""Tables of people, published as datasets, and the command on them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlead_artifacts import publish, read_manifest
from fairlead_data_validation.main import main

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
