"""The jobs of trials: what the template's texts become, and what is read back from them."""

import json
from typing import Any

import pytest
from fairlead.api.sweep_status import TrialStatus
from fairlead.api.training_job import TrainingJob
from fairlead.core.conditions import Finding
from fairlead.core.sweep.build import build_trial, check_template
from fairlead.core.sweep.observed import ObservedSweep
from fairlead.core.sweep.trials import is_trial, update_trials
from fairlead.core.views import TrialView

from tests.support.resources import make_sweep

VALUES = {"lr": "0.01", "width": "16", "optimizer": "adam"}
TRIAL = TrialStatus(number=7, parameters=VALUES)
CONTAINER = "spec__template__spec__workers__template__spec__containers__0__"


def test_the_job_of_a_trial_has_its_values_and_is_valid() -> None:
    job = build_trial(make_sweep(spec__template__metadata={"labels": {"team": "vision"}}), TRIAL)
    container = job["spec"]["workers"]["template"]["spec"]["containers"][0]
    assert job["metadata"]["name"] == "digits-0007"
    assert container["args"] == ["--lr=0.01", "--width=16"]
    assert container["env"] == [{"name": "OPTIMIZER", "value": "adam"}, {"name": "SHELL", "value": "${HOME}"}]
    assert job["metadata"]["labels"] == {
        "team": "vision", "app.kubernetes.io/managed-by": "fairlead", "fairlead.dev/sweep": "digits",
        "fairlead.dev/trial": "7",
    }  # fmt: skip
    assert json.loads(job["metadata"]["annotations"]["fairlead.dev/trial-parameters"]) == VALUES
    assert TrainingJob.model_validate(job).spec.workers.replicas == 2


def test_labels_of_the_template_cannot_name_another_sweep() -> None:
    sweep = make_sweep(spec__template__metadata={"labels": {"fairlead.dev/sweep": "other", "fairlead.dev/trial": "9"}})
    labels = build_trial(sweep, TRIAL)["metadata"]["labels"]
    assert (labels["fairlead.dev/sweep"], labels["fairlead.dev/trial"]) == ("digits", "7")


def test_the_name_of_the_job_is_known_in_its_labels_and_texts() -> None:
    selector = {"matchLabels": {"fairlead.dev/job": "${trialName}"}}
    spread = [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": selector}]
    sweep = make_sweep(spec__template__spec__workers__template__spec__topologySpreadConstraints=spread)
    pod = build_trial(sweep, TRIAL)["spec"]["workers"]["template"]["spec"]
    assert pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"] == {"fairlead.dev/job": "digits-0007"}


def test_a_value_that_looks_like_a_reference_is_not_replaced_again() -> None:
    values = ["${trialParameters.lr}", "x"]
    sweep = make_sweep(spec__parameters__2__categorical={"values": values})
    trial = TRIAL.model_copy(update={"parameters": VALUES | {"optimizer": "${trialParameters.lr}"}})
    container = build_trial(sweep, trial)["spec"]["workers"]["template"]["spec"]["containers"][0]
    assert container["env"][0]["value"] == "${trialParameters.lr}"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({f"{CONTAINER}args": ["--m=${trialParameters.momentum}"]}, "got ${trialParameters.momentum}, expected"),
        ({"spec__template__metadata": {"annotations": {"a": "${trialNumber}"}}}, ""),
        ({f"{CONTAINER}image": "x:${trialParameters.optimizer}", f"{CONTAINER}command": ["${trialParameters."]}, ""),
        (
            {"spec__template__spec__model": {"uri": "s3://models/x"}, f"{CONTAINER}args": ["${trialParameters.}"]},
            "got ${",
        ),
    ],
)
def test_a_reference_to_no_parameter_is_found(changes: Any, words: str) -> None:
    finding = check_template(make_sweep(**changes), TRIAL)
    assert (finding is not None) == bool(words)
    if words:
        assert isinstance(finding, Finding)
        assert words in finding.message


def job(**fields: Any) -> TrialView:
    known = {"name": "digits-0001", "uid": "u", "number": 1, "values": tuple(VALUES.items())}
    return TrialView(**(known | fields))


def test_only_a_job_of_the_trials_name_is_the_trials() -> None:
    assert is_trial(make_sweep(), job())
    assert not is_trial(make_sweep(), job(name="digits-0002"))
    assert not is_trial(make_sweep(), job(name="digits-9999", number=9999))
    assert not is_trial(make_sweep(), job(name="digits--001", number=-1))


@pytest.mark.parametrize(
    ("fields", "state", "value"),
    [
        ({}, "Pending", None),
        ({"started": True}, "Running", None),
        ({"started": True, "phase": "Running", "step": 9, "metrics": (("accuracy", 0.4),)}, "Running", None),
        ({"started": True, "phase": "Succeeded", "step": 9, "metrics": (("accuracy", 0.4),)}, "Succeeded", 0.4),
        ({"started": True, "phase": "Succeeded", "step": 9, "metrics": (("loss", 0.4),)}, "Failed", None),
        ({"phase": "Failed", "message": "NeverStarted"}, "Failed", None),
        ({"phase": "Blocked"}, "Pending", None),
    ],
)
def test_a_trial_is_as_its_job(fields: Any, state: str, value: float | None) -> None:
    (trial,) = update_trials(make_sweep(), ObservedSweep((job(**fields),)))
    assert (trial.state, trial.value, trial.parameters) == (state, value, VALUES)


def test_values_in_an_annotation_that_the_spec_does_not_allow_are_ignored() -> None:
    assert update_trials(make_sweep(), ObservedSweep((job(values=(("lr", "9000"),)),))) == ()


def test_a_record_counts_more_than_an_annotation() -> None:
    sweep = make_sweep({"trials": [{"number": 1, "parameters": VALUES}]})
    changed = tuple((VALUES | {"lr": "0.02"}).items())
    (trial,) = update_trials(sweep, ObservedSweep((job(values=changed),)))
    assert trial.parameters == VALUES


def test_a_job_that_was_deleted_after_its_start_has_failed_and_before_it_is_made_again() -> None:
    sweep = make_sweep({"trials": [{"number": 1, "state": "Running", "parameters": VALUES}, {"number": 2}]})
    running, pending = update_trials(sweep, ObservedSweep())
    assert (running.state, running.message) == ("Failed", "Its job was deleted.")
    assert pending.state == "Pending"


def test_a_trial_that_has_done_its_last_step_is_not_judged_any_more() -> None:
    sweep = make_sweep(
        {"trials": [{"number": 2, "state": "Succeeded", "rungs": [0.9]}]}, spec__pruning={"minSteps": 10}
    )
    seen = job(started=True, step=35, total_steps=35, metrics=(("accuracy", 0.4),))
    assert update_trials(sweep, ObservedSweep((seen,)))[0].state == "Running"
    seen = job(started=True, step=35, total_steps=36, metrics=(("accuracy", 0.4),))
    assert update_trials(sweep, ObservedSweep((seen,)))[0].state == "Pruned"


def test_rungs_that_are_passed_between_two_looks_get_the_value_that_is_seen() -> None:
    sweep = make_sweep(spec__pruning={"minSteps": 10})
    seen = job(started=True, step=35, metrics=(("accuracy", 0.4),))
    (trial,) = update_trials(sweep, ObservedSweep((seen,)))
    assert trial.rungs == (0.4, 0.4)
