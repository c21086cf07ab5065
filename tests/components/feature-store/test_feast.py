"""What Feast's own join does with the same history, which is why ours is another (docs/decisions/0051)."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fairlead_feature_store.definitions import Definitions
from fairlead_feature_store.feast_objects import build_config, build_objects
from feast import FeatureStore

from .conftest import DEFINITIONS, HISTORY, at, weather

TIMES = [("JFK", "1 11:05"), ("JFK", "1 11:30"), ("JFK", "1 11:30"), ("JFK", "1 08:05"), ("LGA", "1 09:30")]


def ask(folder: Path, offline: dict[str, str] | None, **options: Any) -> list[tuple[str, float | None]]:
    """Return which entity rows an offline store returns, with their temperatures."""
    config = build_config(
        {"registry": str(folder / "r.db"), "online_store": {"type": "sqlite", "path": str(folder / "o.db")}},
        "hand", folder,
    )  # fmt: skip
    if offline:
        config = config.model_copy(update={"offline_config": offline})
        config._offline_store = None
        config.repo_path = folder
    (folder / "weather").mkdir()
    weather(HISTORY).to_parquet(folder / "weather" / "weather.parquet", index=False)
    store = FeatureStore(config=config)
    store.apply(build_objects(Definitions.parse(DEFINITIONS, "definitions"), ""))
    rows = pd.DataFrame({"origin": [key for key, _ in TIMES], "event_timestamp": [at(time) for _, time in TIMES]})
    found = store.get_historical_features(rows, ["weather:temp"], **options).to_df()
    temperatures = found["temp"].astype(object).where(found["temp"].notna(), None)
    pairs = zip(found["event_timestamp"].dt.strftime("%-d %H:%M"), temperatures, strict=True)
    return sorted(pairs, key=str)


def test_ours_keeps_each_row_and_uses_what_was_known(tmp_path: Path) -> None:
    assert ask(tmp_path, None) == [
        ("1 08:05", None), ("1 09:30", 20.0), ("1 11:05", 11.0), ("1 11:30", 13.0), ("1 11:30", 13.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "at_11_05", "reason"),
    [
        ({}, 13.0, "what became known at 11:10 is used at 11:05"),
        ({"filter_by_created_timestamp": True}, 11.0, "unless Feast is told to look at when rows were known"),
    ],
)
def test_feasts_own_uses_what_was_not_known_and_loses_rows(
    tmp_path: Path, options: dict[str, bool], at_11_05: float, reason: str
) -> None:
    found = ask(tmp_path, {"type": "dask"}, **options)
    assert dict(found)["1 11:05"] == at_11_05, reason
    assert found.count(("1 11:30", 13.0)) == 1, "one of two equal entity rows is lost"
    assert len(found) < len(TIMES)
