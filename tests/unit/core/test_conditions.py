"""Conditions: complete sets, and messages that keep the cause and the end of a log."""

from datetime import UTC, datetime

import pytest
import yaml
from fairlead.core.conditions import DesiredCondition, Finding, merge_conditions, shorten, summarize
from fairlead.core.model_deployment import phases as deployment_phases
from fairlead.core.training_job import phases as job_phases

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CAUSE = "Worker 1 (rank 1) exited with code 3. Last lines of its log:"


@pytest.mark.parametrize(
    "last_line", ["x" * 5000, "█" * 5000, "é" * 999 + "\n" + "█" * 5000], ids=["ASCII", "wide", "mixed"]
)
def test_a_long_log_displaces_no_cause(last_line: str) -> None:
    message = shorten(f"{CAUSE}\nTraceback\n{last_line}END", 1000)
    assert len(message.encode()) <= 1000
    assert message.startswith(f"{CAUSE}\n… ")
    assert message.endswith("END")


def test_a_short_message_is_kept() -> None:
    assert shorten("█" * 333, 1000) == "█" * 333


def test_a_summary_is_the_first_line_without_the_log() -> None:
    assert summarize(f"{CAUSE}\nboom") == "Worker 1 (rank 1) exited with code 3."
    assert len(summarize("x" * 5000).encode()) <= 256


JOB_PHASES = [phase for phase in vars(job_phases).values() if isinstance(phase, job_phases.Phase)]
DEPLOYMENT_PHASES = [phase for phase in vars(deployment_phases).values() if isinstance(phase, deployment_phases.Phase)]


@pytest.mark.parametrize("phase", JOB_PHASES, ids=lambda phase: phase.name)
def test_every_phase_of_a_job_determines_every_condition(phase: job_phases.Phase) -> None:
    assert [c.type for c in job_phases.build_conditions(phase, Finding("R", "m"))] == list(job_phases.TYPES)
    assert phase.true <= set(job_phases.TYPES)
    assert phase.explained_by in job_phases.TYPES
    # kstatus: Stalled is Failed, Reconciling is InProgress, Ready is Current
    assert len(phase.true & {"Ready", "Reconciling", "Stalled"}) == (0 if phase is job_phases.SUSPENDED else 1)


@pytest.mark.parametrize("phase", DEPLOYMENT_PHASES, ids=str)
def test_every_phase_of_a_deployment_determines_every_condition(phase: deployment_phases.Phase) -> None:
    desired = deployment_phases.build_conditions(phase, Finding("R", "m"))
    assert [c.type for c in desired] == list(deployment_phases.TYPES)
    assert len(phase.true & {"Ready", "Reconciling", "Stalled"}) == 1


def test_a_condition_of_an_earlier_phase_is_not_left_over() -> None:
    before = merge_conditions((), [DesiredCondition("Old", True, "R", "m")], 1, NOW)
    assert [c.type for c in merge_conditions(before, [DesiredCondition("New", True, "R", "m")], 1, NOW)] == ["New"]


@pytest.mark.parametrize(
    ("log", "plain"),
    [
        ("\x1b[1;31mred\x1b[0m \x1b[2K\x1b[?25l", "red "),
        ("10 %\r20 %\r\ndone", "10 %\n20 %\ndone"),
        ("tab\tend of line\n", "tab\tend of line\n"),
        ("\x00\x07\x7f\x85\x9b\ud800\ufffe\uffff", "\ufffd" * 8),
        ("█ é 😀 \u2028 \ufeff", "█ é 😀 \u2028 \ufeff"),
    ],
)
def test_a_message_is_plain_text_that_yaml_can_hold(log: str, plain: str) -> None:
    assert shorten(log) == plain
    yaml.safe_dump(shorten(log))
