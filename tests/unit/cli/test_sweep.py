"""How sweeps are shown: the table, the line, the plot."""

import io
from typing import Any, cast
from xml.etree import ElementTree

import pytest
from fairlead.cli import sweep as command
from fairlead.cli.main import build_app
from fairlead.cli.sweep import build_view, describe_line, read_sweep
from fairlead.cli.sweep_plot import draw_sweep
from fairlead.client import FairleadClient, Unreachable
from rich.console import Console
from typer.testing import CliRunner

from tests.support.resources import SWEEP, Object, change

VALUES = {"lr": "0.01", "width": "16", "optimizer": "adam"}
TRIALS: list[Object] = [
    {"number": 1, "state": "Succeeded", "parameters": VALUES, "value": 0.9123456, "step": 100, "rungs": [0.5, 0.7]},
    {
        "number": 2,
        "state": "Pruned",
        "parameters": VALUES | {"width": "24"},
        "value": 0.31,
        "step": 12,
        "rungs": [0.31],
    },
    {"number": 3, "state": "Running", "parameters": VALUES, "rungs": []},
    {"number": 4, "state": "Failed", "parameters": VALUES | {"optimizer": "\x1b[31m<b>"}, "rungs": []},
]
DONE = [{"type": "Succeeded", "status": "True", "reason": "TrialsFinished", "message": "All.", "observedGeneration": 1}]


def found(**fields: Any) -> Object:
    sweep = change(SWEEP, spec__pruning={"minSteps": 10})
    sweep["metadata"]["generation"] = 1
    best = {"number": 1, "job": "digits-0001", "value": 0.9123456, "model": {"uri": "s3://models/digits/v1"}}
    counts = {"total": 4, "running": 1, "succeeded": 1, "pruned": 1, "failed": 1, "pending": 0}
    return sweep | {"status": {"phase": "Running", "trials": TRIALS, "best": best, "counts": counts} | fields}


def render(obj: Object) -> str:
    console = Console(width=120, record=True, file=io.StringIO(), color_system=None)
    console.print(build_view(obj))
    return console.export_text()


def test_the_table_has_each_trial_with_its_values_and_marks_the_best() -> None:
    shown = render(found())
    for part in ("digits  Running  4/12 trials", "1 ★", "0.9123", "█" * 20, "Pruned", "24",
                 "best: digits-0001 with accuracy 0.912346, s3://models/digits/v1"):  # fmt: skip
        assert part in shown
    assert "\x1b" not in shown


def test_a_sweep_that_nobody_has_looked_at_is_shown() -> None:
    assert "digits  Pending  0/12 trials" in render(SWEEP)
    assert describe_line(SWEEP) == "digits Pending"


def test_a_line_tells_the_states_and_the_best() -> None:
    line = "digits Running 1 running, 1 succeeded, 1 pruned, 1 failed best digits-0001 0.912346"
    assert describe_line(found()) == line


def test_the_plot_is_xml_with_a_point_for_each_value_and_nothing_of_tenants_is_markup() -> None:
    obj = found(trials=[*TRIALS[:3], TRIALS[3] | {"value": 0.2, "step": 11}])
    root = ElementTree.fromstring(draw_sweep(obj))
    space = "{http://www.w3.org/2000/svg}"
    titles = [title.text or "" for title in root.iter(f"{space}title")]
    assert any("trial 1: 0.912346, lr 0.01" in title for title in titles)
    assert any("<b>" in title for title in titles)
    assert not list(root.iter(f"{space}b"))
    # three values, three rungs' lines with an end each, and three states in the legend
    assert len(list(root.iter(f"{space}circle"))) == 9


@pytest.mark.parametrize(
    "trials",
    [[], TRIALS[:1], [TRIALS[0], TRIALS[0] | {"number": 2}], [TRIALS[0] | {"value": 0.0, "step": 0, "rungs": []}]],
)
def test_the_plot_of_few_or_equal_values_is_drawn(trials: list[Object]) -> None:
    ElementTree.fromstring(draw_sweep(found(trials=trials)))
    ElementTree.fromstring(draw_sweep(found(trials=trials) | {"spec": SWEEP["spec"]}))


class Client:
    """Returns sweeps one after the other, and their jobs."""

    def __init__(self, *sweeps: Object | Exception) -> None:
        self.sweeps = list(sweeps)

    def get(self, kind: str, name: str) -> Object:
        sweep = self.sweeps.pop(0)
        if isinstance(sweep, Exception):
            raise sweep
        return change(sweep)

    def list(self, kind: str, labels: str) -> list[Object]:
        assert labels == "fairlead.dev/sweep=digits"
        progress = {"step": 42, "metrics": {"accuracy": 0.6, "loss": 1.5}}
        return [{"metadata": {"name": "digits-0003"}, "status": {"progress": progress}}]


def test_a_running_trial_is_shown_as_its_job_is_now() -> None:
    read = read_sweep(cast(FairleadClient, Client(found())), "digits")
    assert (read["status"]["trials"][2]["value"], read["status"]["trials"][2]["step"]) == (0.6, 42)


def test_a_sweep_is_followed_to_its_end_over_an_outage(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    client = Client(found(), Unreachable("away"), found(phase="Succeeded", conditions=DONE))
    monkeypatch.setattr(command, "FairleadClient", lambda *_, **__: client)
    monkeypatch.setattr(command, "_POLL_SECONDS", 0)
    result = CliRunner().invoke(build_app(), ["sweep", "digits", "-w", "--plot", str(tmp_path / "plot.svg")])
    assert result.exit_code == 0, result.output
    assert client.sweeps == []
    assert (tmp_path / "plot.svg").read_text().startswith("<svg")


def test_a_plot_of_another_format_is_an_error() -> None:
    result = CliRunner().invoke(build_app(), ["sweep", "digits", "--plot", "plot.png"])
    assert result.exit_code == 1
