"""Applying and materializing: what the registry and the online store have after it."""

import copy
import json
import os
import sqlite3
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from fairlead_feature_store.clock import use_utc

from .conftest import DEFINITIONS, HISTORY, Place, weather

NOON = "2024-05-01T12:30:00Z"


def read(place: Place) -> list[tuple[Any, ...]]:
    """Return all rows of the online store."""
    with sqlite3.connect(place.database) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = "entity_key, feature_name, value, event_ts, created_ts"
        return sorted((table, *row) for table in tables for row in database.execute(f"SELECT {columns} FROM {table}"))


def change(**fields: Any) -> dict[str, Any]:
    """Return the definitions with another view `weather`."""
    definitions = copy.deepcopy(DEFINITIONS)
    definitions["views"]["weather"].update(fields)
    return definitions


def test_what_is_known_at_a_time_is_written_and_again_changes_nothing(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run("apply") == 0
    assert place.run("materialize", "--until", NOON) == 0
    assert "weather: 3 entities, as known at 2024-05-01T12:30:00+00:00" in capsys.readouterr().out
    first = read(place)
    events = {datetime.fromtimestamp(row[4], UTC).hour for row in first if row[0] == "hand_weather"}
    assert events == {11, 10, 9}, "the late row of 10:00 at JFK is not there"
    assert place.run("materialize", "--until", NOON) == 0
    assert read(place) == first


def test_a_store_does_not_go_back(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.run("apply")
    assert place.run("materialize", "--until", NOON) == 0
    first = read(place)
    out = place.folder / "out.json"
    assert place.run("materialize", "--until", "2024-05-01T09:30:00Z", "--out", str(out)) == 3
    printed = capsys.readouterr()
    assert "weather: 0 entities, as known at 2024-05-01T12:30:00+00:00" in printed.out
    assert (
        "weather, plan: nothing was written, as the online store has what was known at 2024-05-01T12:30" in printed.err
    )
    assert json.loads(out.read_text())["until"] == "2024-05-01T12:30:00+00:00", "the time that is in force"
    assert read(place) == first


def test_a_time_in_the_future_is_rejected_so_that_later_ones_are_written(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.run("apply")
    assert place.run("materialize", "--until", "2999-01-01T00:00:00Z") == 1
    assert "the time: got 2999-01-01T00:00:00+00:00, which is in the future" in capsys.readouterr().err
    assert place.run("materialize", "--until", NOON) == 0


def test_two_runs_at_once_do_not_write_the_same_view(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from feast.infra.online_stores.sqlite import SqliteOnlineStore

    place.run("apply")
    write, inner = SqliteOnlineStore.online_write_batch, []

    def write_while_another_does(*arguments: Any) -> None:
        if not inner:
            inner.append(None)
            inner[0] = place.run("materialize", "--until", "2024-05-01T12:40:00Z", "--view", "weather")
        write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteOnlineStore, "online_write_batch", write_while_another_does)
        assert place.run("materialize", "--until", NOON, "--view", "weather") == 0
    assert inner == [1]
    assert "views.weather: another run is writing it; try again" in capsys.readouterr().err
    assert place.run("materialize", "--until", "2024-05-01T12:40:00Z") == 0


def test_an_interrupted_run_is_run_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from feast.infra.online_stores.sqlite import SqliteOnlineStore

    place.run("apply")
    monkeypatch.setattr("fairlead_feature_store.materializing._BATCH", 1)
    write, batches = SqliteOnlineStore.online_write_batch, iter(range(10))

    def break_off(*arguments: Any) -> None:
        if next(batches) == 2:
            raise sqlite3.OperationalError("disk I/O error")
        write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteOnlineStore, "online_write_batch", break_off)
        assert place.run("materialize", "--until", NOON) == 1
    assert len(read(place)) == 2
    assert place.run("materialize", "--until", NOON) == 0
    interrupted = read(place)
    place.database.unlink()
    assert place.run("apply") == 0
    assert place.run("materialize", "--until", NOON) == 0
    assert interrupted == read(place)


def test_a_late_correction_reaches_the_store(place: Place) -> None:
    place.run("apply")
    assert place.run("materialize", "--until", "2024-05-01T11:20:00Z") == 0
    before = read(place)
    place.publish("weather", weather=weather([*HISTORY, ("JFK", "1 11:00", "1 13:00", 14.0)]))
    assert place.run("materialize", "--until", "2024-05-01T13:10:00Z", "--view", "weather") == 0
    after = read(place)
    (changed,) = [row for row in after if row not in before]
    assert (changed[0], changed[2]) == ("hand_weather", "temp")


def test_of_several_forecasts_the_newest_is_written(place: Place) -> None:
    place.run("apply")
    history = [("JFK", "1 10:00", "1 08:00", 2.0), ("JFK", "1 10:00", "1 07:00", 1.0)]
    place.publish("weather", weather=weather(history))  # type: ignore[arg-type]
    assert place.run("materialize", "--until", NOON, "--view", "weather") == 0
    assert {datetime.fromtimestamp(row[5], UTC).hour for row in read(place)} == {8}


def test_applying_again_changes_nothing_and_fields_may_be_added(place: Place) -> None:
    assert place.run("apply") == 0
    assert place.run("apply") == 0
    place.define(change(features={"temp": {"type": "FP32"}, "dew": {"type": "FP32", "default": 0.0}}))
    assert place.run("apply") == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"features": {"temp": {"type": "FP64"}}}, "views.weather.features.temp: got Float64, expected Float32"),
        ({"features": {"dew": {"type": "FP32"}}}, "views.weather.features.temp: got none, expected Float32"),
        ({"entities": ["origin", "flight"]}, "views.weather.entities: got [('flight', 'Int64')"),
        (
            {"source": {"artifact": "weather", "file": "weather.parquet", "timestamp": "hour"}},
            "views.weather.source: got ('weather/weather.parquet', 'hour', ''), expected",
        ),
    ],
)
def test_a_view_that_would_mean_something_else_needs_another_name(
    place: Place, capsys: pytest.CaptureFixture[str], fields: dict[str, Any], message: str
) -> None:
    place.run("apply")
    place.define(change(**fields))
    assert place.run("apply") == 1
    error = capsys.readouterr().err
    assert message in error
    assert "give it another name" in error


def test_materializing_needs_the_definitions_in_the_registry(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.run("materialize", "--until", NOON) == 1
    assert "views.weather: the registry has no such view, expected sha256:" in capsys.readouterr().err
    place.run("apply")
    place.define(change(ttlSeconds=60))
    assert place.run("materialize", "--until", NOON) == 1
    assert "views.weather: the registry has sha256:" in capsys.readouterr().err


def test_a_registry_that_is_away_is_named(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    store = yaml.safe_load(place.store.read_text())
    store["registry"]["path"] = "postgresql+psycopg://someone:s3cret@127.0.0.1:1/features"
    place.store.write_text(yaml.safe_dump(store))
    assert place.run("apply") == 1
    error = capsys.readouterr().err
    assert "the store does not answer: OperationalError" in error
    assert "s3cret" not in error


@pytest.mark.parametrize(
    ("store", "change", "message"),
    [
        ("registry", {"path": "postgresql+psycopg://u:pa@s3cret@127.0.0.1:1/x"}, "registry.path: got no URL"),
        ("registry", {"path": "postgresql+psycopg://u:pa@x:s3cret@127.0.0.1:1/x"}, "registry.path: got no URL"),
        ("registry", {"path": "postgresql+psycopg://u:s3cret@127.0.0.1:1/x"}, "(registry at 127.0.0.1:1)"),
        ("online_store", {"type": "redis", "connection_string": "redis://u:s3cret@h:1"}, "connection_string: got"),
        ("online_store", {"type": "redis", "connection_string": "h:s3cret,db=1"}, "connection_string: got"),
        (
            "online_store",
            {"type": "redis", "connection_string": "127.0.0.1:1,password=s3cret"},
            "the store does not answer: ConnectionError (online store at 127.0.0.1:1)",
        ),
        (
            "online_store",
            {"type": "postgres", "host": "u:s3cret@h", "database": "x", "user": "u", "password": "s3cret"},
            "online_store.host: got no name of a host",
        ),
        ("online_store", {"type": "s3cret"}, "got types that Feast does not have"),
        ("online_store", {"type": ["s3cret"]}, "got types that Feast does not have"),
        ("registry", {"registry_type": "s3cret", "path": "x"}, "got types that Feast does not have"),
    ],
)
def test_an_address_is_named_without_its_password(
    place: Place, capsys: pytest.CaptureFixture[str], store: str, change: dict[str, Any], message: str
) -> None:
    document = yaml.safe_load(place.store.read_text())
    if store == "online_store":
        assert place.run("apply") == 0
    document[store] = {"registry_type": "sql", **change} if store == "registry" else change
    place.store.write_text(yaml.safe_dump(document))
    assert place.run("materialize", "--until", NOON) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "s3cret" not in error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("registry: {}", "expected objects registry and online_store"),
        ("{", "got no YAML"),
        ("registry: {path: '${NO_SUCH_VARIABLE}'}\nonline_store: {type: sqlite}", "got ${NO_SUCH_VARIABLE}, expected"),
        (
            "registry: {path: x}\nonline_store: {type: redis, connection_string: 5, passwort: s3cret}",
            "the store's file: ",
        ),
    ],
)
def test_a_stores_file_that_is_none_is_named_without_its_secrets(
    place: Place, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    place.store.write_text(text)
    assert place.run("apply") == 1
    error = capsys.readouterr().err
    assert message in error
    assert "s3cret" not in error


def test_a_null_replaces_what_was_there(place: Place) -> None:
    place.run("apply")
    place.run("materialize", "--until", "2024-05-01T11:20:00Z")
    place.publish("weather", weather=weather([*HISTORY, ("JFK", "1 12:00", "1 12:10", None)]))
    assert place.run("materialize", "--until", NOON, "--view", "weather") == 0
    values = [row[3] for row in read(place) if row[0] == "hand_weather" and b"JFK" in row[1]]
    assert values == [b""]


def test_sessions_of_postgres_are_in_the_time_zone_in_which_feast_writes() -> None:
    use_utc()
    assert os.environ["PGTZ"] == "UTC"
