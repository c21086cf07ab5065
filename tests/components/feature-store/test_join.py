"""The join: what was known at each row's time, and nothing that was not."""

import copy
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from .conftest import DEFINITIONS, HISTORY, Place, at, plan, weather


def rows(*pairs: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame({"origin": [key for key, _ in pairs], "event_timestamp": [at(time) for _, time in pairs]})


CASES = [
    ("JFK", "1 08:05", None, "the event of 08:00 was not known yet"),
    ("JFK", "1 08:10", 10.0, "known at that very moment"),
    ("JFK", "1 09:05", 10.0, "that of 09:00 has happened, and was not known"),
    ("JFK", "1 11:05", 11.0, "the correction of 09:00 came at 12:00"),
    ("JFK", "1 11:30", 13.0, "the latest event"),
    ("JFK", "1 12:30", 13.0, "a correction of an earlier event changes nothing"),
    ("JFK", "1 14:59", 13.0, "the late row of 10:00 is not known"),
    ("JFK", "1 15:00", 13.0, "and when it is, the event of 11:00 is later: its age is 4 h, the ttl"),
    ("JFK", "1 15:01", None, "older than the ttl; the late row would be older still"),
    ("LGA", "1 09:30", 20.0, "a forecast for 10:00 does not count before"),
    ("LGA", "1 10:00", 22.0, "it counts from the time that it is about"),
    ("XXX", "1 10:00", None, "an entity without a history"),
]


def test_a_row_gets_what_was_known_at_its_time(place: Place) -> None:
    frame = rows(*((origin, time) for origin, time, _, _ in CASES)).assign(number=range(len(CASES)))
    assert place.join(frame, "air", "--missing", "drop") == 0
    joined = place.read_joined()
    found = dict(zip(joined["number"], joined["weather__temp"], strict=True))
    for number, (_, _, expected, reason) in enumerate(CASES):
        assert found.get(number) == expected, reason


def test_corrections_count_once_they_are_known(place: Place) -> None:
    history = [row for row in HISTORY if row[1] != "1 11:00"]
    place.publish("weather", weather=weather(history))
    assert place.join(rows(("JFK", "1 11:59"), ("JFK", "1 12:00"), ("JFK", "1 12:59"))) == 0
    assert place.read_joined()["weather__temp"].tolist() == [11.0, 11.5, 11.5]


def test_of_several_forecasts_of_an_event_the_newest_counts_wherever_it_is_in_the_file(place: Place) -> None:
    history = [("JFK", "1 10:00", "1 08:00", 2.0), ("JFK", "1 10:00", "1 07:00", 1.0)]
    place.publish("weather", weather=weather(history))  # type: ignore[arg-type]
    assert place.join(rows(("JFK", "1 10:00"))) == 0
    assert place.read_joined()["weather__temp"].tolist() == [2.0]


def test_each_row_is_kept_in_its_place_and_equal_rows_are_several(place: Place) -> None:
    frame = rows(("LGA", "1 11:00"), ("JFK", "1 11:30"), ("JFK", "1 11:30"), ("LGA", "1 09:00")).assign(y=[3, 1, 4, 1])
    assert place.join(frame) == 0
    joined = place.read_joined()
    assert joined["weather__temp"].tolist() == [22.0, 13.0, 13.0, 20.0]
    assert joined["y"].tolist() == [3, 1, 4, 1]


def test_defaults_stand_for_what_is_missing_and_the_order_of_a_set_is_kept(place: Place) -> None:
    frame = rows(("JFK", "1 11:30"), ("LGA", "1 11:00"), ("LGA", "1 11:00")).assign(flight=[1, 2, 3])
    assert place.join(frame, "both") == 0
    joined = place.read_joined()
    assert list(joined)[-3:] == ["weather__temp", "plan__seats", "plan__maker"]
    assert joined["plan__seats"].tolist() == [180, 90, -1]
    assert joined["plan__maker"].tolist() == ["Airbus", "unknown", "unknown"]
    assert place.joined.parameters["missing"] == {"weather__temp": 0, "plan__seats": 1, "plan__maker": 2}


def test_a_missing_value_without_a_default_is_an_error_that_names_the_first(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.join(rows(("LGA", "1 11:00"), ("EWR", "1 11:00"), ("XXX", "1 11:00"))) == 1
    error = capsys.readouterr().err
    assert "weather:temp: 2 of 3 rows have no value, the first is origin='EWR' at 2024-05-01T11:00:00+00:00" in error
    assert not Path(place.uris["out"].removeprefix("file://")).exists()


def test_the_dataset_names_what_it_is_made_of_and_is_the_same_again(place: Place) -> None:
    frame = rows(("JFK", "1 11:30"), ("LGA", "1 11:00"))
    assert place.join(frame) == 0
    first = place.joined
    assert (first.kind, [parent.name for parent in first.parents]) == (
        "dataset", ["definitions", "rows", "source-weather"],
    )  # fmt: skip
    assert place.run("join", "--set", "air", "--rows", place.uris["rows"], "--out-uri", place.uris["out"]) == 0
    assert place.joined.digest == first.digest


def test_splits_become_archives_that_training_reads(place: Place) -> None:
    frame = rows(("JFK", "1 11:30"), ("LGA", "1 11:00"), ("JFK", "1 09:30"))
    assert place.join(frame.assign(y=[1, 0, 1], split=["train", "eval", "train"])) == 0
    with np.load(place.fetch_joined() / "train.npz", allow_pickle=False) as archive:
        assert {name: archive[name].tolist() for name in archive} == {
            "origin": ["JFK", "JFK"], "y": [1, 1], "weather__temp": [13.0, 11.0],
        }  # fmt: skip
        assert archive["weather__temp"].dtype == np.float32


def test_csv_rows_are_read_with_their_zones(place: Place) -> None:
    assert place.join("origin,event_timestamp\nJFK,2024-05-01T11:30:00Z\nJFK,2024-05-01T11:30:00-01:00\n") == 0
    assert place.read_joined()["weather__temp"].tolist() == [13.0, 13.0]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("origin,event_timestamp\nJFK,2024-05-01T11:30:00\n", "zone offset"),
        ("airport,event_timestamp\nJFK,2024-05-01T11:30:00Z\n", "expected origin among them"),
        ("origin,time\nJFK,2024-05-01T11:30:00Z\n", "expected event_timestamp among them"),
        (rows(("JFK", "1 11:30")).assign(origin=[1]), "rows.parquet: origin: got int64, expected BYTES"),
        (
            rows(("JFK", "1 11:30")).assign(event_timestamp=pd.Timestamp("2024-05-01")),
            "expected timestamps with a time zone",
        ),
        (rows(("JFK", "1 11:30")).assign(event_timestamp="noon"), "event_timestamp: got string, expected timestamps"),
        (
            rows(("JFK", "1 11:30"), ("LGA", "1 11:30")).assign(origin=["JFK", None]),
            "origin: got 1 rows without a value",
        ),
        (rows(("JFK", "1 11:30")).assign(weather__temp=1.0), "got a column weather__temp, which is a feature"),
        (rows(("JFK", "1 11:30")).astype({"origin": "string"}).iloc[:0], "got no rows"),
        (rows(("JFK", "1 11:30")).assign(split="../train"), "got '../train', expected names such as train"),
    ],
)
def test_entity_rows_that_cannot_be_joined_are_named(
    place: Place, capsys: pytest.CaptureFixture[str], table: pd.DataFrame | str, message: str
) -> None:
    assert place.join(table) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"hour": "x"},
            "views.weather: weather/weather.parquet: hour: got string, expected timestamps with a time zone",
        ),
        ({"known": pd.Timestamp("2024-05-01")}, "weather.parquet: known: got timestamp["),
        ({"temp": "warm"}, "temp: got string, expected FP32"),
        ({"origin": 7}, "origin: got int64, expected BYTES"),
        ({"known": pd.to_datetime([None] * 8, utc=True)}, "known: got 8 rows without a value"),
    ],
)
def test_sources_that_are_not_as_defined_are_named(
    place: Place, capsys: pytest.CaptureFixture[str], change: dict[str, object], message: str
) -> None:
    place.publish("weather", weather=weather(HISTORY).assign(**change))
    assert place.join(rows(("JFK", "1 11:30"))) == 1
    assert message in capsys.readouterr().err


def test_keys_are_compared_in_the_type_of_the_definitions(place: Place) -> None:
    frame = rows(("JFK", "1 11:30"), ("LGA", "1 11:30")).assign(flight=np.array([1, 2], np.int32))
    place.publish("weather", weather=weather(HISTORY).astype({"origin": "category"}))
    place.publish("plan", plan=plan().astype({"origin": "category", "flight": np.int16}))
    assert place.join(frame.astype({"origin": "category"}), "both") == 0
    joined = place.read_joined()
    assert joined["weather__temp"].tolist() == [13.0, 22.0]
    assert joined["plan__seats"].tolist() == [180, 90]
    assert place.run("apply") == 0
    assert place.run("materialize", "--until", "2024-05-01T12:30:00Z") == 0


@pytest.mark.parametrize(
    ("kind", "value"), [("FP32", (1 << 24) + 1), ("FP64", (1 << 53) + 1), ("FP32", 1e300), ("FP32", -1e39)]
)
def test_a_value_that_its_type_does_not_hold_is_rejected_wherever_it_is_read(
    place: Place, capsys: pytest.CaptureFixture[str], kind: str, value: float
) -> None:
    definitions = copy.deepcopy(DEFINITIONS)
    definitions["views"]["weather"]["features"]["temp"]["type"] = kind
    place.define(definitions)
    place.publish("weather", weather=weather(HISTORY).assign(temp=value))
    message = f"weather/weather.parquet: temp: got values that are none of {kind}"
    assert place.join(rows(("JFK", "1 11:30"))) == 1
    assert message in capsys.readouterr().err
    assert place.run("apply") == 0
    assert place.run("materialize", "--until", "2024-05-01T12:30:00Z") == 1
    assert message in capsys.readouterr().err


def test_a_source_that_is_gone_is_named(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    frame = rows(("JFK", "1 11:30"))
    weather_uri = place.uris.pop("weather")
    assert place.join(frame) == 1
    assert "sources: got plan, expected also weather" in capsys.readouterr().err
    place.uris["weather"] = f"{weather_uri}-gone"
    assert place.join(frame) == 1
    assert "-gone" in capsys.readouterr().err
    place.publish("weather", other=weather(HISTORY))
    assert place.join(frame) == 1
    assert "weather/weather.parquet: no such file, the artifact has other.parquet" in capsys.readouterr().err
    place.publish("weather", weather_parquet="no table")
    assert place.join(frame) == 1
    assert "is not a Parquet file" in capsys.readouterr().err


def test_a_value_that_is_not_finite_is_no_value(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    history = [*HISTORY[:-1], ("EWR", "1 09:00", "1 09:10", math.inf)]
    place.publish("weather", weather=weather(history))
    assert place.join(rows(("EWR", "1 11:00"))) == 1
    assert "weather:temp: 1 of 1 rows have no value" in capsys.readouterr().err


def test_an_unknown_set_is_named(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.join(rows(("JFK", "1 11:30")), "water") == 1
    assert f"sets: got 'water', expected one of {', '.join(DEFINITIONS['sets'])}" in capsys.readouterr().err
