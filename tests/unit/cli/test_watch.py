"""How jobs are shown while they run and when they have ended."""

import io
import itertools
from typing import Any, cast

import pytest
from fairlead.cli import watch
from fairlead.cli.watch import build_view, describe_changes, format_seconds, print_result
from fairlead.client import FairleadClient, Unreachable
from rich.console import Console

Object = dict[str, Any]


def make_job(phase: str = "Running", message: str = "", **status: Any) -> Object:
    types = {"Pending": "Running"}
    true = "False" if phase in types else "True"
    condition = {"type": types.get(phase, phase), "status": true, "reason": f"{phase}Reason", "message": message}
    return {
        "kind": "TrainingJob",
        "metadata": {"name": "houses", "namespace": "default", "generation": 1},
        "status": {"phase": phase, "conditions": [condition | {"observedGeneration": 1}], **status},
    }


def progress(step: int, total: int | None = 200) -> Object:
    known = {"totalSteps": total} if total else {}
    return {"step": step, **known, "samplesPerSecond": 1234.5, "etaSeconds": 95, "metrics": {"loss": 0.12345}}


def render(jobs: list[Object], width: int = 120) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO(), color_system=None, legacy_windows=False)
    console.print(build_view(jobs, width))
    return console.export_text().splitlines()


def test_a_running_job_has_a_bar_as_long_as_its_progress() -> None:
    counts = []
    for step in (0, 50, 100, 200):
        _, row = render([make_job(workers={"ready": 2, "desired": 2}, progress=progress(step))])
        assert all(word in row for word in ("houses", "Running", "2/2", f"{step}/200", "1m35s", "1234", "0.1235"))
        counts.append(row.count("━"))
    assert counts == [0, 6, 12, 24]


def test_a_job_without_progress_or_total_has_no_bar() -> None:
    _, new, unbounded = render([make_job(""), make_job(progress=progress(7, total=None))])
    assert "━" not in new + unbounded
    assert " 7 " in unbounded


def test_what_a_job_waits_for_is_a_line_below_without_control_characters() -> None:
    blocked = make_job("Blocked", "No [validation]\x1b[31m result.\nmore")
    pending = make_job("Pending", "1 of 2 workers has registered.")
    lines = render([blocked, pending, make_job("Running", "2 workers are running.")])
    assert lines[4:] == [
        "houses  BlockedReason: No [validation][31m result.",
        "houses  PendingReason: 1 of 2 workers has registered.",
    ]


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_view_fits_its_terminal_and_nothing_is_lost(width: int) -> None:
    status = {"workers": {"ready": 512, "desired": 512}, "progress": progress(100_000, 200_000)}
    running, failed = make_job("Running", **status), make_job("Failed", "x" * 500, progress=progress(7))
    running["metadata"]["name"] = "a-name-of-fifty-characters-" + "x" * 23
    lines = render([running, failed], width)
    assert all(len(line) <= width for line in lines)
    text = "\n".join(lines)
    for part in ("Running", "512/512", "━━━", "100,000/200,000", "1234", "0.1235", "houses  FailedReason: xxx"):
        assert part in text
    assert text.count("1m35s") == 1  # a job that does not run has no time left


def test_a_line_tells_each_change_of_phase_and_the_progress_now_and_then() -> None:
    clock = itertools.count(0, 4.0)
    running = [make_job(progress=progress(step)) for step in (1, 2, 2, 3, 4, 5)]
    observed = [[make_job("")], [make_job("Pending", "Wait.")], *([job] for job in running), [make_job("Succeeded")]]
    lines = list(describe_changes(iter(observed), lambda: next(clock)))
    assert lines[:2] == ["houses new", "houses Pending (PendingReason: Wait.)"]
    assert lines[2] == "houses Running step 1/200 loss 0.1235"
    assert lines[-1] == "houses Succeeded"
    assert 4 < len(lines) < len(observed)


def test_jobs_of_one_name_in_two_namespaces_are_two() -> None:
    one, other = make_job(), make_job("Pending", "Wait.")
    other["metadata"]["namespace"] = "other"
    lines = list(describe_changes(iter([[one, other]] * 3), lambda: 0.0))
    assert lines == ["default/houses Running", "other/houses Pending (PendingReason: Wait.)"]
    assert render([one, other])[-1] == "other/houses  PendingReason: Wait."


def test_a_cluster_that_never_answers_is_an_error_and_an_outage_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def __init__(self, *answers: Object | None) -> None:
            self.answers = iter(answers)

        def get(self, kind: str, name: str) -> Object:
            if answer := next(self.answers):
                return answer
            raise Unreachable("no response")

        def list(self, kind: str, *, everywhere: bool) -> list[Object]:
            return [self.get(kind, "")]

    monkeypatch.setattr(watch, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(watch, "out", Console(file=io.StringIO(), width=80))
    for name in (None, "houses"):
        with pytest.raises(Unreachable):
            watch.watch_jobs(cast(FairleadClient, Away(None)), name)
    watch.watch_jobs(cast(FairleadClient, Away(make_job(), None, make_job("Succeeded"))), "houses")
    done = make_job("Succeeded")
    assert watch.follow_job(cast(FairleadClient, Away(None, done, None, done)), "houses") == 0


def printed(job: Object) -> str:
    console = Console(width=80, record=True, file=io.StringIO())
    print_result(console, job)
    return console.export_text()


def test_the_result_of_a_job_has_its_model_and_metrics() -> None:
    times = {"startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:01:05Z"}
    model = {"name": "model", "uri": "s3://models/houses/v1", "digest": "sha256:12"}
    shown = printed(make_job("Succeeded", progress=progress(200), provenance=[model], **times))
    for part in ("✓ houses succeeded after 1m05s", "loss 0.1235", "s3://models/houses/v1", "sha256:12"):
        assert part in shown


def test_the_result_of_a_failed_job_has_its_cause_and_where_to_look() -> None:
    shown = printed(make_job("Failed", "Worker 1 exited with code 3.\nLast log lines:\nno such file [x]\x1b[2J"))
    for part in ("✗ houses failed: FailedReason", "code 3.", "no such file [x][2J", "fairlead logs houses"):
        assert part in shown


def test_a_failure_of_an_older_spec_is_not_shown_as_the_result() -> None:
    job = make_job("Failed", "old")
    job["metadata"]["generation"] = 2
    assert "old" not in printed(job)


def test_an_interrupt_ends_the_following_and_not_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def get(self, kind: str, name: str) -> Object:
            raise KeyboardInterrupt

    console = Console(file=io.StringIO(), record=True, width=80)
    monkeypatch.setattr(watch, "out", console)
    assert watch.follow_job(Interrupted(), "houses") == 130
    assert "The job goes on" in console.export_text()


@pytest.mark.parametrize(("phase", "code"), [("Succeeded", 0), ("Failed", 1)])
def test_the_exit_code_is_the_verdict(monkeypatch: pytest.MonkeyPatch, phase: str, code: int) -> None:
    class Finished:
        def get(self, kind: str, name: str) -> Object:
            return make_job(phase, "why")

    monkeypatch.setattr(watch, "out", Console(file=io.StringIO(), width=80))
    assert watch.follow_job(Finished(), "houses") == code


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0, "0s"), (59.9, "59s"), (60, "1m00s"), (3599, "59m59s"), (3720, "1h02m")]
)
def test_durations_are_short(seconds: float | None, text: str) -> None:
    assert format_seconds(seconds) == text
