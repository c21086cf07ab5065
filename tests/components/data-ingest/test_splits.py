"""Splits: nothing leaks, nothing moves, and the shares hold."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fairlead_data_ingest.splits import find_leaks, split_by_class, split_by_hash
from fairlead_data_ingest.tables.hashes import hash_rows, to_shares

from .conftest import Kitchen

SHARES = {"train": 0.7, "eval": 0.2, "test": 0.1}


def visits(patients: int, seed: int = 0) -> str:
    """Return visits of patients, several of each, every fifth patient ill."""
    generator = np.random.default_rng(seed)
    lines = ["patient,visit,value,ill,day"]
    for patient in range(patients):
        for visit in range(int(generator.integers(1, 6))):
            day = np.datetime64("2024-01-01") + int(generator.integers(0, 300))
            lines.append(f"{patient},{visit},{generator.normal():.6f},{'yes' if patient % 5 == 0 else 'no'},{day}")
    return "\n".join(lines) + "\n"


def recipe(**split: Any) -> dict[str, Any]:
    return {"source": {"path": "v.csv"}, "split": {"shares": SHARES, **split}, "output": {"format": "parquet"}}


def members(kitchen: Kitchen, column: str) -> dict[str, set[Any]]:
    return {name: {row[column] for row in rows} for name, rows in kitchen.rows().items()}


def overlap(sets: dict[str, set[Any]]) -> int:
    return sum(map(len, sets.values())) - len(set().union(*sets.values()))


def test_rows_of_a_group_are_in_one_split_and_shares_hold(kitchen: Kitchen) -> None:
    kitchen.write({"v.csv": visits(2000)})
    manifest = kitchen.make(recipe(group=["patient"]))
    assert overlap(members(kitchen, "patient")) == 0
    counts: Any = manifest.parameters["splits"]
    for name, share in SHARES.items():
        assert counts[name] / sum(counts.values()) == pytest.approx(share, abs=0.03)


def test_rows_stay_in_their_split_when_data_grow_and_change_their_order(kitchen: Kitchen) -> None:
    old, header = visits(300).splitlines()[1:], visits(1).splitlines()[0]
    kitchen.write({"v.csv": "\n".join([header, *old])})
    kitchen.make(recipe())
    before = {row["value"]: name for name, rows in kitchen.rows().items() for row in rows}
    # New rows come first, and one of them makes `visit` a column of numbers with fractions.
    new = visits(100, seed=7).splitlines()[1:]
    kitchen.write({"v.csv": "\n".join([header, "5000,0.5,1,no,2024-02-01", *new, *reversed(old)])})
    kitchen.uri += "2"
    kitchen.make(recipe())
    after = {row["value"]: name for name, rows in kitchen.rows().items() for row in rows}
    assert len(after) > len(before) > 800
    assert {value: after[value] for value in before} == before


def test_groups_that_differ_in_white_space_or_unicodes_form_alone_are_one(kitchen: Kitchen) -> None:
    names = [f"{spelling}{i}{blank}" for i in range(40) for spelling in ("\u00e9", "e\u0301") for blank in ("", " ")]
    kitchen.write({"v.csv": "p,x\n" + "".join(f"{name},{i}\n" for i, name in enumerate(names))})
    kitchen.make(recipe(group=["p"]))
    of_number = {name: {row["x"] // 4 for row in rows} for name, rows in kitchen.rows().items()}
    assert overlap(of_number) == 0


def test_another_seed_is_another_split(kitchen: Kitchen) -> None:
    kitchen.write({"v.csv": visits(200)})
    kitchen.make(recipe(group=["patient"]))
    first = members(kitchen, "patient")
    kitchen.uri += "2"
    kitchen.make(recipe(group=["patient"], seed=1))
    assert members(kitchen, "patient") != first


def test_classes_have_equal_shares_in_each_split_and_groups_stay_whole(kitchen: Kitchen) -> None:
    kitchen.write({"v.csv": visits(500)})
    kitchen.make(recipe(stratify="ill", group=["patient"]))
    assert overlap(members(kitchen, "patient")) == 0
    rows = kitchen.rows()
    for ill in ("yes", "no"):
        counts = {name: sum(row["ill"] == ill for row in part) for name, part in rows.items()}
        for name, share in SHARES.items():
            assert counts[name] / sum(counts.values()) == pytest.approx(share, abs=0.01)


def test_a_class_that_cannot_be_in_each_split_is_named(kitchen: Kitchen) -> None:
    kitchen.write({"v.csv": "id,c\n" + "".join(f"{i},{'rare' if i < 2 else 'common'}\n" for i in range(50))})
    message = kitchen.reject(recipe(stratify="c"))
    assert (
        "split.stratify: class rare has 2 groups of rows, of which test would have none; "
        "expected at least one for each of train, eval, test" in message
    )


def test_earlier_rows_are_in_earlier_splits_and_a_day_is_never_divided(kitchen: Kitchen) -> None:
    kitchen.write({"v.csv": visits(500)})
    kitchen.make(recipe(time={"column": "day"}))
    days = members(kitchen, "day")
    assert max(days["train"]) < min(days["eval"]) <= max(days["eval"]) < min(days["test"])
    counts = {name: len(rows) for name, rows in kitchen.rows().items()}
    assert counts["train"] / sum(counts.values()) == pytest.approx(0.7, abs=0.02)


def test_splits_begin_when_the_recipe_says(kitchen: Kitchen) -> None:
    kitchen.write({"v.csv": visits(100)})
    starts = {"eval": "2024-06-01", "test": "2024-09-01"}
    kitchen.make(recipe(time={"column": "day", "starts": starts}))
    days = {name: (str(min(found)), str(max(found))) for name, found in members(kitchen, "day").items()}
    assert days["train"][1] < "2024-06-01" <= days["eval"][0]
    assert days["eval"][1] < "2024-09-01" <= days["test"][0]
    kitchen.uri += "2"
    backwards = {"eval": "2024-09-01", "test": "2024-06-01"}
    assert "expected ascending values" in kitchen.reject(recipe(time={"column": "day", "starts": backwards}))


@pytest.mark.parametrize("time", [{}, {"starts": {"eval": str(2**60 + 90)}}])
def test_times_may_be_large_integers(kitchen: Kitchen, time: dict[str, Any]) -> None:
    kitchen.write({"v.csv": "t,x\n" + "".join(f"{2**60 + i},{i}\n" for i in range(100))})
    kitchen.make({**recipe(time={"column": "t", **time}, shares={"train": 0.9, "eval": 0.1})})
    assert [row["x"] for row in kitchen.rows()["eval"]] == list(range(90, 100))


def test_equal_rows_are_dropped_or_stay_together(kitchen: Kitchen) -> None:
    kitchen.write({"v.csv": "a,b\n" + "".join(f"{i % 40},{i % 40}\n" for i in range(200))})
    kitchen.make({**recipe(), "duplicates": "keep"})
    assert overlap(members(kitchen, "a")) == 0
    assert sum(map(len, kitchen.rows().values())) == 200
    kitchen.uri += "2"
    kitchen.make({**recipe(), "duplicates": "drop"})
    assert sum(map(len, kitchen.rows().values())) == 40


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"group": ["doctor"]}, "split: no column doctor; got patient, visit"),
        ({"shares": {"train": 0.8, "eval": 0.3}}, "split.shares: got 1.1, expected shares whose sum is 1"),
        ({"shares": {"train": 0.8, "../eval": 0.2}}, "expected a string that matches"),
        ({"shares": {"data": 0.8, "eval": 0.2}}, "split: got 'data', expected other names of splits"),
        ({"shares": {"train": 0.9999, "eval": 0.0001}}, "split: eval would be empty: "),
        ({"time": {"column": "day"}, "group": ["patient"]}, "expected no group and no stratify"),
        (
            {"time": {"column": "day", "starts": {"train": "2024-02-01", "eval": "2024-06-01"}}},
            "split.time.starts: got 'train', expected other names",
        ),
        ({"time": {"column": "ill"}}, "split.time.column: has the type string, expected dates, times or numbers"),
    ],
)
def test_splits_that_cannot_be_made_are_rejected(kitchen: Kitchen, split: dict[str, Any], message: str) -> None:
    kitchen.write({"v.csv": visits(100)})
    assert message in kitchen.reject(recipe(**split))


def test_a_group_without_a_value_is_rejected_by_row(kitchen: Kitchen) -> None:
    kitchen.write({"v.csv": "p,x\n1,2\n,3\n"})
    message = kitchen.reject(recipe(group=["p"]))
    assert "v.csv: column p: got row 2: None; expected a value, for split" in message


def test_hashes_know_values_and_not_types_or_orders() -> None:
    table = pa.table({"a": [1, 2, None], "b": ["x", None, "x"]})
    same = pa.table({"b": ["x", None, "x"], "a": [1.0, 2.0, None]})
    assert hash_rows(table, ["a", "b"]).tolist() == hash_rows(same, ["b", "a"]).tolist()
    swapped = pa.table({"a": ["x", "y"], "b": ["y", "x"]})
    assert len(set(hash_rows(swapped, ["a", "b"]).tolist())) == 2
    zeros = pa.table({"a": [0.0, -0.0, float("nan"), None]})
    first, second, third, fourth = hash_rows(zeros, ["a"]).tolist()
    assert (first, third) == (second, fourth)
    large = pa.table({"a": [2**53, 2**53 + 1]})
    assert len(set(hash_rows(large, ["a"]).tolist())) == 2


def test_hashes_are_the_same_in_every_version() -> None:
    """Splits of data that exist must not change with a release: these numbers are part of the format."""
    table = pa.table({"id": [1, 2], "name": ["a", "b"]})
    hashes = hash_rows(table, ["id", "name"])
    assert hashes.tolist() == [2512454457356068592, 15351929647493033541]
    assert to_shares(hashes, 0).tolist() == pytest.approx([0.3511581468865065, 0.690815957576836])


def test_shares_of_hashes_are_even_even_for_numbers_that_follow_each_other() -> None:
    shares = to_shares(hash_rows(pa.table({"id": np.arange(100_000)}), ["id"]), 3)
    counts, _ = np.histogram(shares, 20, (0, 1))
    expected = len(shares) / 20
    assert float(((counts - expected) ** 2 / expected).sum()) < 43.8  # chi-squared, 19 degrees of freedom, p = 0.001


@pytest.mark.parametrize("seed", range(20))
def test_no_unit_leaks_whatever_the_data(seed: int) -> None:
    generator = np.random.default_rng(seed)
    units = generator.integers(0, 200, 1000).astype(np.uint64)
    of_units = generator.choice(["a", "b", "c"], 200, p=[0.5, 0.3, 0.2])
    labels = np.where(generator.random(1000) < 0.1, "a", of_units[units.astype(int)]).tolist()
    for places in (split_by_hash(units, SHARES, seed), split_by_class(units, labels, SHARES, seed)):
        assert find_leaks(units, places) == 0
        assert Counter(places.tolist()).keys() == {0, 1, 2}
    assert find_leaks(np.array([1, 1], np.uint64), np.array([0, 1])) == 1
