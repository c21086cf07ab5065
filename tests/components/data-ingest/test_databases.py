"""Queries: one that only reads, and no secret in what is shown or published."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from .conftest import Kitchen


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an SQLite database of sales."""
    file = tmp_path_factory.mktemp("database") / "shop.db"
    with sqlite3.connect(file) as connection:
        connection.execute("create table sales (id integer, price real, day text)")
        rows = [(i, None if i % 10 == 0 else i / 4, f"2024-01-{i % 28 + 1:02}") for i in range(25_000)]
        connection.executemany("insert into sales values (?, ?, ?)", rows)
    return file


def test_a_query_becomes_a_dataset_and_its_password_is_nowhere(
    kitchen: Kitchen, database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHOP", f"sqlite:///{database}")
    query = "select id, price, day from sales where id < 20000 order by id"
    columns = {"id": {"type": "integer", "unique": True}, "price": {"type": "number", "nullable": True},
               "day": {"type": "date"}}  # fmt: skip
    recipe = {"source": {"query": query, "databaseVariable": "SHOP"}, "columns": columns}
    manifest = kitchen.make(recipe)
    source: Any = manifest.parameters["source"]
    assert (source["database"], source["rows"], source["query"]) == ("sqlite:/shop.db", 20_000, query)
    rows = kitchen.rows()["data"]
    assert (len(rows), rows[1]["price"], rows[10]["price"], str(rows[3]["day"])) == (20_000, 0.25, None, "2024-01-04")
    (kitchen.folder / "url").write_text(f"sqlite:///{database}\n")
    from_file = {"source": {"query": query, "databaseFile": "url"}, "columns": columns}
    kitchen.uri += "2"
    assert kitchen.make(from_file).parameters["source"] == source


@pytest.mark.parametrize(
    ("address", "query", "code", "message"),
    [
        (None, "select 1", 2, "$SHOP: is absent or empty, expected a database's URL"),
        ("hunter2 is no url", "select 1", 2, "$SHOP: is no URL of a database"),
        ("oracle://me:hunter2@host/x", "select 1", 2, "query: No module named"),
        ("sqlite:///{db}", "select * from stock", 2, "query: no such table: stock"),
        ("sqlite:///{db}", "select id from sales where id < 0", 2, "query: returned no rows"),
        ("sqlite:///{db}", "select id, id from sales", 2, "query: two columns are named 'id'"),
        ("sqlite:///{db}", "drop table sales", 2, "source.query: got 'drop table sales', expected one SELECT or WITH"),
        ("sqlite:///{db}", "select 1; drop table sales", 2, "expected one SELECT or WITH statement without semicolons"),
        ("sqlite:///{db}", "with n as (select 1) delete from sales", 2, "query: attempt to write a readonly database"),
        ("sqlite:///{db}.none", "select 1", 2, "query: unable to open database file"),
        (
            "postgresql://me:hunter2@127.0.0.1:9/x?sslmode=hunter2",
            "select 1",
            2,
            "keyword argument 'sslmode'",
        ),
        ("postgresql://me:hunter2@127.0.0.1:9/x", "select 1", 1, "query: "),
        ("mysql://me:hunter2@127.0.0.1:9/x", "select 1", 1, "query: "),
    ],
)
def test_a_database_that_cannot_be_asked_is_reported_without_its_password(
    kitchen: Kitchen, database: Path, monkeypatch: pytest.MonkeyPatch,
    address: str | None, query: str, code: int, message: str,
) -> None:  # fmt: skip
    if address:
        monkeypatch.setenv("SHOP", address.format(db=database))
    found = kitchen.reject({"source": {"query": query, "databaseVariable": "SHOP"}}, code)
    assert message in found
    assert "hunter2" not in found
    assert [file.name for file in database.parent.iterdir()] == ["shop.db"]


def test_a_query_may_have_colons_percent_signs_and_a_last_semicolon(
    kitchen: Kitchen, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP", f"sqlite:///{database}")
    query = "-- the first\nselect ':y %s' as t, id from sales where day like '%-01' and id < 100;"
    kitchen.make({"source": {"query": query, "databaseVariable": "SHOP"}})
    assert kitchen.rows()["data"][0] == {"t": ":y %s", "id": 0}


def test_a_query_is_no_place_for_a_url(kitchen: Kitchen) -> None:
    message = kitchen.reject({"source": {"query": "select 1"}})
    assert "expected a query with one of databaseVariable and databaseFile" in message
