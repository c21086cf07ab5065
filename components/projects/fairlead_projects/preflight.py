"""`fairlead train --check`: run the agent's own checks in a pod like a worker's, and delete it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from fairlead.api.pod_template import TRAINER
from fairlead.cli.console import CommandError, colored, err, escape, out
from fairlead.client import FairleadClient, NotFound
from fairlead.core import names
from fairlead.core.pod_defaults import restricted_pod_spec
from fairlead.core.pod_status import STARTING, find_unscheduled
from fairlead.core.training_job.images import check_program
from fairlead.core.views import PodView

from fairlead_projects.code.objects import Object, Objects

SECONDS = 600.0
"""How long an image may take to be pulled."""
_POLL_SECONDS = 0.5


def check(client: FairleadClient, objects: Objects) -> int:
    """Print what a job of these objects would find in its image; return 0 if it lacks nothing, else 1."""
    pod = build_check_pod(objects.job)
    with _created(client, pod, objects.config_map), err.status("waiting for the pod"):
        state = _await_end(client, pod["metadata"]["name"])
        if problem := explain_start(pod["metadata"]["name"], state):
            raise CommandError(problem)
        for line in client.logs("Pod", pod["metadata"]["name"]):
            style = "green" if line.startswith("✓") else "red" if line.startswith("✗") else ""
            out.print(colored(line), style=style, soft_wrap=True)
    return 1 if state["terminated"]["exitCode"] else 0


def build_check_pod(job: Object) -> Object:
    """Return a pod with a worker's image, volumes and environment that runs the agent's checks."""
    spec, name = job["spec"], job["metadata"]["name"]
    pod: Object = dict(spec["workers"]["template"]["spec"])
    dataset = spec.get("dataset", {})
    words = ["fairlead-agent", "--check", "--backend", spec["launcher"].lower()]
    words += ["--dataset", dataset["uri"]] if dataset else []
    words += ["--digest", dataset["digest"]] if "digest" in dataset else []
    trainer = next(container for container in pod["containers"] if container["name"] == TRAINER)
    changes = {"command": [*words, "--", *trainer["command"]], "terminationMessagePolicy": "FallbackToLogsOnError"}
    pod["containers"] = [trainer | changes]
    pod["restartPolicy"] = "Never"
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": restricted_pod_spec(pod)}


def explain_start(name: str, state: dict[str, Any]) -> str | None:
    """Return why the agent could not run in the image; None if it ran."""
    if waiting := state.get("waiting"):
        return f"pod {name} cannot start: {waiting['reason']}: {waiting.get('message', '')}"
    ended = state["terminated"]
    view = PodView(
        name, "", role=names.WORKER, exit_code=ended["exitCode"], termination_message=ended.get("message", "")
    )
    if finding := check_program(view):
        return finding.message
    return f"pod {name}: {ended.get('message', '')}" if ended.get("reason") == "StartError" else None


def _await_end(client: FairleadClient, name: str) -> dict[str, Any]:
    deadline, told = time.monotonic() + SECONDS, ""
    while time.monotonic() < deadline:
        status = client.get("Pod", name).get("status", {})
        if state := find_end(name, status):
            return state
        if (note := describe_wait(status)) and note != told:
            told = note
            err.print(escape(note), soft_wrap=True)
        time.sleep(_POLL_SECONDS)
    raise CommandError(f"pod {name}: has not ended within {SECONDS:g} s; {told or 'its image is being pulled'}")


def find_end(name: str, status: dict[str, Any]) -> dict[str, Any] | None:
    """Return the state in which a pod's container has ended, or any cannot start; None if it may yet.

    Raises CommandError for a pod or an init container that has failed.
    """
    init = status.get("initContainerStatuses", [])
    for container in init:
        ended = container.get("state", {}).get("terminated")
        if ended and ended["exitCode"]:
            raise CommandError(f"pod {name}: {container['name']} failed: {ended.get('message', '')}")
    for container in [*init, *status.get("containerStatuses", [])]:
        state: dict[str, Any] = container.get("state", {})
        ended = "terminated" in state and container["name"] == TRAINER
        if ended or state.get("waiting", {}).get("reason") not in STARTING:
            return state
    if status.get("phase") == "Failed":  # evicted, or rejected by its node
        raise CommandError(f"pod {name} failed: {status.get('reason', 'Unknown')}: {status.get('message', '')}")
    return None


def describe_wait(status: dict[str, Any]) -> str:
    """Return why a pod has no node; empty if it has one."""
    condition = find_unscheduled(status)
    return f"the pod is not scheduled: {condition.get('message', condition.get('reason', ''))}" if condition else ""


@contextmanager
def _created(client: FairleadClient, pod: Object, config_map: Object | None) -> Iterator[None]:
    """Keep a pod and its code on the cluster during the block."""
    objects = [config_map, pod] if config_map else [pod]
    try:
        for obj in objects:
            client.apply(obj)
        yield
    finally:
        for obj in reversed(objects):
            with suppress(NotFound):
                client.delete(obj["kind"], obj["metadata"]["name"])
