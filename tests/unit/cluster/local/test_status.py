"""A pod's status from its containers."""

from typing import Any

import pytest
from fairlead_cluster.local.node.status import ContainerView, PodView, derive_phase, derive_status

WAITING = {"waiting": {"reason": "ContainerCreating"}}
RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
OK: dict[str, Any] = {"terminated": {"exitCode": 0}}
BAD: dict[str, Any] = {"terminated": {"exitCode": 3}}
CRASHED = (WAITING, BAD)


def _container(state: Any, name: str = "main") -> ContainerView:
    current, last = state if isinstance(state, tuple) else (state, {})
    ready = "running" in current
    return ContainerView(name, "image", current, last, restarts=0, ready=ready, started=ready, run_id="r")


def _pod(*states: Any, init: tuple[Any, ...] = (), policy: str = "Never", deleting: bool = False) -> PodView:
    return PodView(
        restart_policy=policy,
        address="127.64.0.1",
        started_at="2026-01-01T00:00:00Z",
        init=[_container(state, f"init-{i}") for i, state in enumerate(init)],
        containers=[_container(state, f"c-{i}") for i, state in enumerate(states)],
        deleting=deleting,
    )


@pytest.mark.parametrize(
    ("view", "phase", "reason"),
    [
        (_pod(WAITING), "Pending", "not started yet"),
        (_pod(RUNNING, WAITING), "Pending", "one of two not started yet"),
        (_pod(RUNNING, RUNNING), "Running", "both run"),
        (_pod(RUNNING, OK), "Running", "one still runs"),
        (_pod(OK, OK), "Succeeded", "all ended well"),
        (_pod(OK, BAD), "Failed", "one failed and none starts again"),
        (_pod(OK, BAD, policy="OnFailure"), "Running", "the failed one will start again"),
        (_pod(OK, OK, policy="OnFailure"), "Succeeded", "nothing to start again"),
        (_pod(OK, policy="Always"), "Running", "it will start again"),
        (_pod(CRASHED, policy="Always"), "Running", "it waits for its back-off"),
        (_pod(WAITING, init=(RUNNING,)), "Pending", "still initialising"),
        (_pod(WAITING, init=(OK, BAD)), "Failed", "an init container failed for good"),
        (_pod(WAITING, init=(CRASHED,), policy="Always"), "Pending", "an init container will start again"),
        (_pod(RUNNING, init=(OK,)), "Running", "initialised"),
        (_pod(BAD, policy="Always", deleting=True), "Failed", "stopped for good, not well"),
        (_pod(OK, policy="Always", deleting=True), "Succeeded", "stopped for good, well"),
        (_pod(WAITING, policy="Always", deleting=True), "Failed", "never started and never will"),
    ],
)
def test_the_phase_follows_from_the_containers(view: PodView, phase: str, reason: str) -> None:
    assert derive_phase(view) == phase, reason


def _condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(item for item in status["conditions"] if item["type"] == kind)


def test_a_pod_is_ready_when_all_its_containers_are() -> None:
    status = derive_status(_pod(RUNNING, RUNNING), {})
    assert _condition(status, "Ready")["status"] == "True"
    half = _condition(derive_status(_pod(RUNNING, WAITING), {}), "Ready")
    assert (half["status"], half["message"]) == ("False", "containers with unready status: [c-1]")


def test_a_finished_pod_is_not_ready_and_reports_why() -> None:
    assert _condition(derive_status(_pod(OK), {}), "Ready")["reason"] == "PodCompleted"
    assert _condition(derive_status(_pod(BAD), {}), "Ready")["reason"] == "PodFailed"


def test_other_conditions_are_kept_and_times_change_only_with_the_status() -> None:
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    initialized = {"type": "Initialized", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    ready = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    status = derive_status(_pod(RUNNING), {"conditions": [scheduled, initialized, ready]})
    assert _condition(status, "PodScheduled") == scheduled
    assert _condition(status, "Initialized")["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert _condition(status, "Ready")["lastTransitionTime"] != "2026-01-01T00:00:00Z"
