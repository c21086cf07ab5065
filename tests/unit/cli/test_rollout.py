"""How rollouts are shown, and commands about them are given."""

import copy
import io
from typing import Any, cast

import pytest
from fairlead.cli import rollout
from fairlead.cli.main import build_app
from fairlead.cli.rollout import build_view, describe_line
from fairlead.client import FairleadClient, Rejected, Unreachable
from fairlead.client.objects import Objects
from fairlead.client.rollouts import command_rollout
from rich.console import Console
from typer.testing import CliRunner

from tests.support.resources import MODEL_DEPLOYMENT, ROLLOUT, Object, change

VERDICT = {
    "at": "2026-03-01T12:00:10Z", "result": "Passed", "step": 1, "requests": 1200, "errors": 3, "p99Seconds": 0.01234,
    "compared": 50, "agreed": 49, "message": "3 of 1200 failed [red]",
}  # fmt: skip


def deployment(**status: Any) -> Object:
    obj = change(MODEL_DEPLOYMENT, spec__rollout=ROLLOUT)
    known = {"stableRevision": "aaaaaaaa", "candidateRevision": "bbbbbbbb", "observedGeneration": 1}
    measured = {"phase": "Measuring", "step": 1, "weight": 50, "mirror": 20, "servers": 3, "confirmed": 2}
    measured["verdicts"] = [VERDICT]  # type: ignore[assignment]
    obj["metadata"]["generation"] = 1
    return obj | {"status": known | {"rollout": measured} | status}


ENDED = deployment(
    candidateRevision=None,
    rollout={"phase": "RolledBack", "failedRevision": "bbbbbbbb", "message": "9 of 10 failed\x1b[31m"},
)


def render(obj: Object) -> str:
    console = Console(width=100, record=True, file=io.StringIO(), color_system=None)
    console.print(build_view(obj))
    return console.export_text()


def test_the_view_has_shares_step_servers_and_figures() -> None:
    shown = render(deployment())
    for part in ("Measuring", "step 2/2", "50 %", "servers 2/3", "aaaaaaaa  stable", "bbbbbbbb  candidate", "20 %",
                 "12:00:10", "Passed", "1,200", "12.34 ms", "49/50", "3 of 1200 failed [red]"):  # fmt: skip
        assert part in shown


def test_a_rollback_is_explained_without_control_characters() -> None:
    shown = render(ENDED)
    assert "bbbbbbbb  rolled back" in shown
    assert "9 of 10 failed[31m" in shown
    assert "\x1b" not in describe_line(ENDED)


def test_a_line_tells_the_last_verdict() -> None:
    expected = "digits Measuring revision bbbbbbbb step 2/2 50 % (passed: 3 of 1200 failed [red])"
    assert describe_line(deployment()) == expected
    assert describe_line(change(deployment(), spec__rollout__paused=True)).startswith("digits Measuring (paused) ")


class FakeObjects:
    """A cluster whose operator obeys at once; with `ended`, the rollout had ended when it read the command."""

    def __init__(self, obj: Object, obeys: bool = True, ended: bool = False) -> None:
        self.obj, self.obeys, self.ended, self.commands = copy.deepcopy(obj), obeys, ended, list[str]()

    def get(self, _kind: str, _name: str) -> Object:
        return self.obj

    def annotate(self, _kind: str, _name: str, annotations: dict[str, str]) -> None:
        (command,) = annotations.values()
        self.commands.append(command)
        if self.obeys:
            word, revision, token = command.split()
            rollout = self.obj["status"]["rollout"]
            rollout["command"] = token
            if word == "abort":
                rollout["failedRevision"] = revision
            if word == "retry":
                self.obj["status"]["candidateRevision"] = revision
            if self.ended:
                del self.obj["status"]["candidateRevision"]


def give(objects: FakeObjects, word: str) -> str:
    return command_rollout(cast(Objects, objects), "digits", word, 5)


@pytest.mark.parametrize("word", ["pause", "resume", "promote", "abort"])
def test_a_command_names_the_candidate_and_is_given_once(word: str) -> None:
    objects = FakeObjects(deployment())
    assert give(objects, word) == "bbbbbbbb"
    assert give(objects, word) == "bbbbbbbb"
    assert [command.split()[:2] for command in objects.commands] == [[word, "bbbbbbbb"]] * 2
    assert len(set(objects.commands)) == 2


@pytest.mark.parametrize("word", ["pause", "promote"])
def test_a_command_that_came_too_late_is_said_to_have_had_no_effect(word: str) -> None:
    with pytest.raises(Rejected, match=f"{word} came too late for revision bbbbbbbb"):
        give(FakeObjects(deployment(), ended=True), word)


def test_a_retry_names_the_failed_revision() -> None:
    assert give(FakeObjects(ENDED), "retry") == "bbbbbbbb"


@pytest.mark.parametrize(("word", "obj"), [("pause", ENDED), ("retry", deployment()), ("delete", deployment())])
def test_a_command_without_its_revision_is_rejected(word: str, obj: Object) -> None:
    objects = FakeObjects(obj)
    with pytest.raises(Rejected, match="digits"):
        give(objects, word)
    assert objects.commands == []


class FakeClient:
    """Shows the states of a deployment in turn."""

    states: list[Object | Exception]

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def get(self, _kind: str, _name: str) -> Object:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(state, Exception):
            raise state
        return state


@pytest.mark.parametrize(("last", "code"), [(ENDED, 1), (deployment(candidateRevision=None), 0)])
def test_status_follows_the_rollout_to_its_end(monkeypatch: pytest.MonkeyPatch, last: Object, code: int) -> None:
    FakeClient.states = [deployment(), deployment(), Unreachable("away"), last]
    monkeypatch.setattr(rollout, "FairleadClient", cast(type[FairleadClient], FakeClient))
    monkeypatch.setattr(rollout, "_POLL_SECONDS", 0.0)
    console = Console(file=io.StringIO(), width=200)
    monkeypatch.setattr(rollout, "out", console)
    done = CliRunner().invoke(build_app(), ["rollout", "status", "digits"])
    assert done.exit_code == code
    lines = cast(io.StringIO, console.file).getvalue().splitlines()
    assert lines == [describe_line(deployment()), describe_line(last)]
