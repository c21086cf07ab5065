"""What `fairlead doctor` finds in the facts of a cluster and of a resource."""

from typing import Any

import pytest
from fairlead.client.diagnosis import ClusterFacts, Diagnosis, ResourceFacts, check_cluster, check_resource

Object = dict[str, Any]
KINDS = ("trainingjobs", "sweeps", "modeldeployments", "trainingjobs/status")


def make_operator(ready: int = 1, image: str = "fairlead/operator:1.0") -> Object:
    template = {"spec": {"containers": [{"name": "operator", "image": image}]}}
    return {
        "metadata": {"namespace": "fairlead-system", "name": "fairlead-operator"},
        "spec": {"replicas": 1, "template": template},
        "status": {"readyReplicas": ready} if ready else {},
    }


def examine(**changes: Any) -> dict[str, Diagnosis]:
    facts = {"version": "v1.34", "kinds": KINDS, "operators": [make_operator()], "denied": ()} | changes
    return {diagnosis.subject: diagnosis for diagnosis in check_cluster(ClusterFacts(**facts), "1.0")}


def test_a_healthy_cluster_has_no_problem() -> None:
    assert {diagnosis.level for diagnosis in examine().values()} == {"ok"}


@pytest.mark.parametrize(
    ("changes", "subject", "level", "words"),
    [
        pytest.param({"kinds": []}, "API", "problem", "trainingjobs, sweeps, modeldeployments", id="no CRD"),
        pytest.param({"kinds": KINDS[:2]}, "API", "problem", "does not serve modeldeployments", id="one CRD missing"),
        pytest.param({"operators": [make_operator(0)]}, "operator", "problem", "0 of 1 ready", id="operator down"),
        pytest.param({"operators": []}, "operator", "warning", "no Deployment", id="no operator"),
        pytest.param({"operators": None}, "operator", "warning", "you may not list", id="nothing to be seen"),
        pytest.param(
            {"operators": [make_operator(image="r/fairlead/operator:2.0")]}, "operator", "warning", "version 1.0",
            id="another version",
        ),
        pytest.param({"denied": ["create configmaps"]}, "permissions", "problem", "create configmaps", id="denied"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_cluster_is_named(changes: dict[str, Any], subject: str, level: str, words: str) -> None:
    found = examine(**changes)
    assert found[subject].level == level and words in found[subject].text
    assert level == "warning" or found[subject].action
    assert {diagnosis.level for name, diagnosis in found.items() if name != subject} == {"ok"}


def make_job(*conditions: tuple[str, str, str, str], observed: int = 1, phase: str = "") -> Object:
    found = [dict(zip(("type", "status", "reason", "message"), condition, strict=True)) for condition in conditions]
    status = {"observedGeneration": observed, "conditions": found, "phase": phase}
    return {"kind": "TrainingJob", "metadata": {"name": "digits", "generation": 1}, "status": status}


BLOCKED = ("Blocked", "True", "DatasetNotFound", "s3://d/v1: no artifact found")
WAITING = ("Running", "False", "PodsWaiting", "Worker 0 cannot start")


def test_the_cause_of_a_blocked_job_comes_with_what_to_do() -> None:
    (found,) = check_resource(ResourceFacts(make_job(WAITING, BLOCKED, phase="Blocked")))
    assert (found.level, found.subject) == ("problem", "TrainingJob digits")
    assert found.text == "Blocked: DatasetNotFound: s3://d/v1: no artifact found"
    assert "fairlead dataset publish" in found.action


def test_a_job_that_runs_or_has_succeeded_is_well() -> None:
    for type_ in ("Running", "Succeeded"):
        (found,) = check_resource(ResourceFacts(make_job((type_, "True", "WorkersRunning", "2 workers."))))
        assert (found.level, found.action) == ("ok", "")


def test_a_spec_that_nobody_has_looked_at_is_the_operators_fault() -> None:
    (found,) = check_resource(ResourceFacts(make_job(observed=0)))
    assert found.level == "problem" and "has not looked at" in found.text


def test_a_reason_without_a_runbook_is_admitted() -> None:
    (found,) = check_resource(ResourceFacts(make_job(("Failed", "True", "Mystery", "?"))))
    assert found.level == "problem" and "does not know" in found.action


def test_pods_that_are_not_scheduled_or_do_not_start_and_warnings_are_named() -> None:
    unscheduled = {"type": "PodScheduled", "status": "False", "message": "0/2 nodes: insufficient cpu"}
    waiting = {"name": "fetch-code", "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}
    starting = {"name": "trainer", "state": {"waiting": {"reason": "PodInitializing"}}}
    pods = [
        {"metadata": {"name": "a"}, "status": {"conditions": [unscheduled]}},
        {"metadata": {"name": "b"}, "status": {"initContainerStatuses": [waiting], "containerStatuses": [starting]}},
        {"metadata": {"name": "c"}, "status": {"containerStatuses": [starting]}},
    ]
    events = [
        {"type": kind, "reason": f"R{index}", "message": "m", "involvedObject": {"name": "a"}}
        for index, kind in enumerate(["Warning"] * 7 + ["Normal"])
    ]
    _, first, second, *warnings = check_resource(ResourceFacts(make_job(WAITING), pods, events))
    assert (first.subject, "insufficient cpu" in first.text) == ("pod a", True)
    assert (second.subject, "fetch-code: ErrImagePull: no such image" in second.text) == ("pod b", True)
    assert [warning.text for warning in warnings] == [f"R{index}: m" for index in range(2, 7)]


@pytest.mark.parametrize(
    ("status", "reason", "level", "action"),
    [("False", "HostNotAllowed", "problem", "routeHosts"), ("Unknown", "RoutePending", "warning", "Gateway exists")],
)
def test_routes_that_are_not_served_are_named_beside_what_serves(
    status: str, reason: str, level: str, action: str
) -> None:
    serving = make_job(("Ready", "True", "Answering", "It serves."), ("Exposed", status, reason, "why"))
    well, found = check_resource(ResourceFacts(serving | {"kind": "ModelDeployment"}))
    assert well.level == "ok"
    assert (found.level, found.subject) == (level, "ModelDeployment digits, routes")
    assert found.text == f"{reason}: why" and action in found.action


def test_routes_that_are_served_are_not_mentioned() -> None:
    serving = make_job(("Ready", "True", "Answering", "It serves."), ("Exposed", "True", "RouteAccepted", "yes"))
    assert len(list(check_resource(ResourceFacts(serving | {"kind": "ModelDeployment"})))) == 1
