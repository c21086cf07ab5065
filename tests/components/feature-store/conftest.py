"""A hand-made history with late data, its definitions, and the commands on both."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from fairlead_artifacts import Manifest, fetch, publish, read_manifest
from fairlead_feature_store.clock import use_utc
from fairlead_feature_store.main import main

use_utc()


def at(text: str) -> datetime:
    """Return an hour of a day in May 2024, such as "1 09:30"."""
    day, clock = text.split()
    return datetime.fromisoformat(f"2024-05-{int(day):02}T{clock}:00+00:00").astimezone(UTC)


HISTORY = [
    # key, event, known, temp: what each row is for
    ("JFK", "1 08:00", "1 08:10", 10.0),
    ("JFK", "1 09:00", "1 09:10", 11.0),
    ("JFK", "1 09:00", "1 12:00", 11.5),  # a correction of the row before
    ("JFK", "1 10:00", "1 15:00", 12.0),  # late: after that of 11:00
    ("JFK", "1 11:00", "1 11:10", 13.0),
    ("LGA", "1 08:00", "1 08:10", 20.0),
    ("LGA", "1 10:00", "1 09:00", 22.0),  # a forecast: known before it is about
    ("EWR", "1 09:00", "1 09:10", None),  # without a value
]
DEFINITIONS: dict[str, Any] = {
    "project": "hand",
    "entities": {"origin": "BYTES", "flight": "INT64"},
    "views": {
        "weather": {
            "entities": ["origin"],
            "ttlSeconds": 4 * 3600,
            "source": {"artifact": "weather", "file": "weather.parquet", "timestamp": "hour", "created": "known"},
            "features": {"temp": {"type": "FP32"}},
        },
        "plan": {
            "entities": ["origin", "flight"],
            "source": {"artifact": "plan", "file": "plan.parquet", "timestamp": "since"},
            "features": {
                "seats": {"type": "INT64", "default": -1},
                "wide": {"type": "BOOL", "default": False},
                "maker": {"type": "BYTES", "default": "unknown"},
            },
        },
    },
    "sets": {"air": ["weather"], "both": ["weather", "plan:seats", "plan:maker"]},
}


def weather(rows: list[tuple[str, str, str, float | None]]) -> pd.DataFrame:
    """Return a history as a table."""
    frame = pd.DataFrame(rows, columns=["origin", "hour", "known", "temp"])
    return frame.assign(hour=frame["hour"].map(at), known=frame["known"].map(at), temp=frame["temp"].astype(float))


def plan() -> pd.DataFrame:
    """Return a history without late data."""
    rows = [("JFK", 1, "1 00:00", 180, True, "Airbus"), ("LGA", 2, "1 00:00", 90, False, None)]
    frame = pd.DataFrame(rows, columns=["origin", "flight", "since", "seats", "wide", "maker"])
    return frame.assign(since=frame["since"].map(at))


@dataclass
class Place:
    """An artifact store, and a feature store in SQLite."""

    folder: Path
    uris: dict[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        return self.folder / "feature_store.yaml"

    @property
    def database(self) -> Path:
        return self.folder / "online.db"

    def publish(self, name: str, kind: str = "dataset", **files: Any) -> str:
        """Publish tables (by name, of Parquet) or texts (with their ending) and return the URI."""
        number = len(list(self.folder.iterdir()))
        source = self.folder / f"{name}-{number}"
        source.mkdir()
        for file, content in files.items():
            if isinstance(content, pd.DataFrame):
                content.to_parquet(source / f"{file}.parquet", index=False)
            else:
                (source / file.replace("_", ".")).write_text(content)
        uri = f"{self.folder.as_uri()}/store/{name}-{number}"
        self.uris[name] = uri
        publish(source, uri, kind=kind, producer="tests/0")
        return uri

    def define(self, definitions: dict[str, Any] = DEFINITIONS) -> str:
        """Publish definitions."""
        return self.publish("definitions", "code", features_yaml=yaml.safe_dump(definitions, sort_keys=False))

    def run(self, command: str, *words: str) -> int:
        """Run a command with the definitions, the sources and the store."""
        argv = [command, "--definitions", self.uris["definitions"]]
        if command in ("join", "materialize"):
            argv += [f"--source={name}={self.uris[name]}" for name in ("weather", "plan") if name in self.uris]
        if command != "join":
            argv += ["--store", str(self.store)]
        return main([*argv, *words])

    def join(self, rows: pd.DataFrame | str, set_: str = "air", *words: str) -> int:
        """Publish entity rows and join."""
        files = {"rows": rows} if isinstance(rows, pd.DataFrame) else {"rows_csv": rows}
        uri = self.publish("rows", **files)
        self.uris["out"] = f"{self.folder.as_uri()}/store/out-{len(list(self.folder.iterdir()))}"
        return self.run("join", "--set", set_, "--rows", uri, "--out-uri", self.uris["out"], *words)

    @property
    def joined(self) -> Manifest:
        return read_manifest(self.uris["out"])

    def fetch_joined(self) -> Path:
        folder = self.folder / f"joined-{len(list(self.folder.iterdir()))}"
        fetch(self.uris["out"], folder)
        return folder

    def read_joined(self) -> pd.DataFrame:
        return pd.read_parquet(self.fetch_joined() / "features.parquet")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place with the history, published."""
    return make_place(tmp_path)


def make_place(folder: Path) -> Place:
    """Publish the history and its definitions."""
    made = Place(folder)
    store = {
        "registry": {"registry_type": "sql", "path": f"sqlite:///{folder}/registry.db"},
        "online_store": {"type": "sqlite", "path": str(made.database)},
    }
    made.store.write_text(yaml.safe_dump(store))
    made.define()
    made.publish("weather", weather=weather(HISTORY))
    made.publish("plan", plan=plan())
    return made
