"""`fairlead train --check`: the pod, and why it could not run the checks."""

from typing import Any

import pytest
from fairlead.cli.console import CommandError
from fairlead_projects.code.files import find_files
from fairlead_projects.code.job import JobOptions
from fairlead_projects.code.objects import build_objects
from fairlead_projects.preflight import build_check_pod, describe_wait, explain_start, find_end

from .conftest import Write


def test_the_pod_is_a_workers_with_the_agents_checks_instead_of_the_command(write: Write) -> None:
    digest = "sha256:" + "ab" * 32
    options = JobOptions(
        name="houses-check", image="me/train:1", command=["python3", "train.py"], launcher="Torchrun",
        dataset=("s3://data/houses/v1", digest), workers=4, resources={"memory": "1Gi"},
    )  # fmt: skip
    objects = build_objects(options, find_files(write({"train.py": "1"})), None)
    pod = build_check_pod(objects.job)
    worker = objects.job["spec"]["workers"]["template"]["spec"]
    (container,) = pod["spec"]["containers"]
    assert container["command"] == [
        "fairlead-agent", "--check", "--backend", "torchrun", "--dataset", "s3://data/houses/v1", "--digest", digest,
        "--", "python3", "train.py",
    ]  # fmt: skip
    for field in ("image", "volumeMounts", "workingDir", "envFrom", "resources"):
        assert container[field] == worker["containers"][0][field]
    assert pod["spec"]["volumes"] == worker["volumes"]
    assert pod["spec"]["securityContext"]["runAsNonRoot"] and pod["spec"]["restartPolicy"] == "Never"


def ended(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "message": message, "reason": reason}}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        pytest.param({"waiting": {"reason": "ErrImagePull", "message": "none"}}, "ErrImagePull: none", id="no image"),
        pytest.param(
            ended(128, 'exec: "fairlead-agent": executable file not found in $PATH', "StartError"),
            "COPY --from=fairlead/trainer", id="no agent",
        ),
        pytest.param(ended(128, "exec format error", "StartError"), "exec format error", id="another architecture"),
    ],
)  # fmt: skip
def test_an_image_in_which_the_agent_cannot_run_is_explained(state: dict[str, Any], words: str) -> None:
    problem = explain_start("houses-check", state)
    assert problem is not None and words in problem


@pytest.mark.parametrize("code", [0, 1])
def test_an_agent_that_ran_has_said_all_itself(code: int) -> None:
    assert explain_start("houses-check", ended(code, "✗ command")) is None


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        pytest.param(
            {"phase": "Failed", "reason": "Evicted", "message": "low on memory"},
            "pod x failed: Evicted: low on memory", id="evicted before it started",
        ),
        pytest.param(
            {"initContainerStatuses": [{"name": "fetch-code", "state": ended(1, "no such bucket")}]},
            "pod x: fetch-code failed: no such bucket", id="no code",
        ),
    ],
)  # fmt: skip
def test_a_pod_that_fails_before_its_checks_ends_the_wait(status: dict[str, Any], problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        find_end("x", status)


def test_a_pod_that_may_yet_start_is_waited_for() -> None:
    waiting = {"name": "trainer", "state": {"waiting": {"reason": "PodInitializing"}}}
    assert find_end("x", {"phase": "Pending", "containerStatuses": [waiting]}) is None
    assert find_end("x", {}) is None
    state = ended(0)
    assert find_end("x", {"phase": "Succeeded", "containerStatuses": [{"name": "trainer", "state": state}]}) == state


def test_a_pod_without_a_node_says_why() -> None:
    scheduled = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes: Insufficient nvidia.com/gpu"}
    assert "Insufficient nvidia.com/gpu" in describe_wait({"conditions": [scheduled]})
    assert describe_wait({"conditions": [scheduled | {"status": "True"}]}) == ""
