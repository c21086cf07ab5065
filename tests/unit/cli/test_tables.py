"""How resources are shown in lists and in detail."""

import io

import pytest
from fairlead.cli import tables
from rich.console import Console

from tests.support.resources import MODEL_DEPLOYMENT, SWEEP, Object, change

MEASURED = {"requests": 1200, "errors": 3, "p99Seconds": 0.01234, "compared": 0, "agreed": 0}
SPLIT: Object = {
    "url": "http://digits",
    "traffic": {"entry": "main", "servers": 2, "confirmed": 2},
    "predictors": [
        {"name": "main", "replicas": 2, "ready": 2, "traffic": 90, "trafficConfirmed": 80, "measured": MEASURED},
        {"name": "next", "replicas": 2, "ready": 1, "traffic": 10},
        {"name": "dark", "replicas": 1, "ready": 1, "traffic": 0, "shadow": 50, "shadowConfirmed": 40,
         "measured": {"requests": 700, "errors": 0, "compared": 650, "agreed": 640}},
    ],
}  # fmt: skip


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Console:
    console = Console(width=140, record=True, file=io.StringIO(), color_system=None)
    monkeypatch.setattr(tables, "out", console)
    return console


def test_a_list_shows_what_predictors_answer(console: Console) -> None:
    plain = change(MODEL_DEPLOYMENT, metadata__name="alone") | {"status": {"predictors": [{"name": "main"}]}}
    tables.print_list("ModelDeployment", [MODEL_DEPLOYMENT | {"status": SPLIT}, plain])
    shown = console.export_text()
    assert "main 90 %, next 10 %, dark ~50 %" in shown
    (line,) = [line for line in shown.splitlines() if "alone" in line]
    assert "main" not in line


def test_a_description_shows_what_is_in_force_and_what_was_measured(console: Console) -> None:
    tables.print_facts(SPLIT)
    rows = {line.split()[0]: line.split() for line in console.export_text().splitlines() if line.strip()}
    assert rows["main"] == ["main", "entry", "2/2", "90", "%", "80", "%", "1,200", "3", "12.34", "ms"]
    assert rows["next"] == ["next", "1/2", "10", "%", "0", "0"]
    assert rows["dark"] == ["dark", "shadow", "1/1", "50", "%", "40", "%", "700", "0", "640/650"]


def test_a_description_of_a_single_predictor_has_no_table(console: Console) -> None:
    tables.print_facts({"url": "http://digits", "predictors": [{"name": "main", "traffic": 100}]})
    assert "PREDICTOR" not in console.export_text()


def test_a_description_shows_the_columns_that_differ_most_from_the_training_data(console: Console) -> None:
    column = {"predictor": "main", "node": "classifier", "side": "input", "tensor": "image", "column": 28}
    worst = [{**column, "psi": 6.9114, "criticalPsi": 0.5312}]
    drift = {"rows": 1812, "columns": 74, "exceeded": 31, "since": "2026-11-27T20:15:00Z", "worst": worst}
    tables.print_facts({"drift": drift})
    shown = console.export_text()
    assert "1,812 rows, 31 of 74 columns, drifted since 2026-11-27T20:15:00Z" in shown
    (line,) = [line.split() for line in shown.splitlines() if "image" in line]
    assert line == ["main", "classifier", "input", "image", "28", "6.911", "0.5312"]


def test_a_description_without_compared_columns_has_no_table_of_drift(console: Console) -> None:
    tables.print_facts({"drift": {"rows": 3}})
    tables.print_facts({})
    assert console.export_text() == ""


def test_predictors_in_seldon_core_are_shown_without_what_nobody_counts(console: Console) -> None:
    status = {"url": "http://digits-main", "predictors": [
        {"name": "main", "replicas": 2, "ready": 2, "traffic": 90},
        {"name": "next", "replicas": 1, "ready": 0, "traffic": 10},
        {"name": "dark", "replicas": 1, "ready": 1, "traffic": 0, "shadow": 50},
    ]}  # fmt: skip
    tables.print_facts(status)
    tables.print_list("ModelDeployment", [MODEL_DEPLOYMENT | {"status": status}])
    shown = console.export_text()
    rows = {line.split()[0]: line.split() for line in shown.splitlines() if line.strip()}
    assert rows["main"] == ["main", "2/2", "90", "%"]
    assert rows["dark"] == ["dark", "shadow", "1/1", "50", "%"]
    assert "main 90 %, next 10 %, dark ~50 %" in shown


def test_a_list_and_a_description_show_the_best_trial_of_a_sweep(console: Console) -> None:
    best = {"number": 2, "job": "digits-0002", "value": 0.98765, "parameters": {"lr": "0.01", "kind": "[red]"}}
    status = {"phase": "Running", "counts": {"total": 7, "running": 2, "pruned": 3, "failed": 1}, "best": best}
    tables.print_list("Sweep", [SWEEP | {"status": status}, change(SWEEP, metadata__name="new")])
    tables.print_facts(status)
    shown = console.export_text().splitlines()
    assert any(line.split()[1:] == ["digits", "Running", "7", "2", "3", "1", "0.9877", "digits-0002"] for line in shown)
    assert "best       digits-0002  0.9877  lr 0.01, kind [red]" in shown
