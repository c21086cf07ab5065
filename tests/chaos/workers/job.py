"""The job of the campaign."""

import math
from argparse import Namespace
from pathlib import Path
from typing import Any

from fairlead.api.group import API_VERSION

from tests.support.trainings.steps import ELASTIC_HOROVOD, ELASTIC_TORCHRUN, FOLDER

Object = dict[str, Any]
NAME = "survivor"
WORKERS, LEAST = 4, 2
COMMIT_STEPS = 10
_SCRIPTS = {"Horovod": ELASTIC_HOROVOD, "Torchrun": ELASTIC_TORCHRUN}
LAUNCHERS = tuple(_SCRIPTS)


def count_steps(options: Namespace) -> int:
    """Return how many steps the training has: so many that it lasts longer than workers are killed."""
    commits: int = math.ceil(options.minutes * 60 / options.pause / COMMIT_STEPS)
    return (commits + 1) * COMMIT_STEPS


def build_job(options: Namespace, folder: Path) -> Object:
    """Return the job; its trainings log into `folder / "steps"`."""
    variables = {
        FOLDER: str(folder / "steps"),
        "STEPS": str(count_steps(options)),
        "COMMIT_STEPS": str(COMMIT_STEPS),
        "PAUSE": str(options.pause),
        "OMP_NUM_THREADS": "1",
    }
    trainer = {
        "name": "trainer",
        "image": "fairlead/trainer:0.1.0",
        "command": ["python3", str(_SCRIPTS[options.launcher])],
        "env": _list_variables(variables),
    }
    spec: Object = {
        "launcher": options.launcher,
        "elastic": {"minReplicas": LEAST, "maxReplicas": WORKERS, "hostCooldownSeconds": 2},
        "workers": {"replicas": WORKERS, "template": {"spec": {"containers": [trainer]}}},
        "runPolicy": {"backoffLimit": 0, "disruptionLimit": 0},
    }
    if options.leave_seconds is not None:
        launcher = {"name": "launcher", "env": _list_variables({"FAIRLEAD_LEAVE_SECONDS": str(options.leave_seconds)})}
        spec["launcherTemplate"] = {"spec": {"containers": [launcher]}}
    if options.launcher == "Torchrun":
        spec["checkpoint"] = {"uri": (folder / "checkpoints").as_uri(), "everySteps": COMMIT_STEPS, "keep": 3}
    return {"apiVersion": API_VERSION, "kind": "TrainingJob", "metadata": {"name": NAME}, "spec": spec}


def _list_variables(variables: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in variables.items()]
