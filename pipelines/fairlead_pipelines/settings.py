"""What the pipelines have in common: their outputs, and the settings of their tasks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from kfp import kubernetes

from fairlead_pipelines.names import STORE_VARIABLES, SUITES, SUITES_PATH
from fairlead_pipelines.steps.owner import POD_NAME, POD_NAMESPACE

_STORE = {name: name for name in STORE_VARIABLES}
_CPU, _MEMORY, _MEMORY_LIMIT = "100m", "256Mi", "4Gi"
"""What a step requests; one that works on data may use more memory."""


class Outputs(NamedTuple):
    """The outputs of a run."""

    url: str
    model_version: str


def prepare_tasks(of_artifacts: Sequence[Any], of_resources: Sequence[Any], store_secret: str) -> None:
    """Configure tasks that read and write artifacts themselves, and the others."""
    for task in (*of_artifacts, *of_resources):
        # The artifacts of a cached task may be deleted, and resources are not outputs; our steps are idempotent anyway.
        task.set_caching_options(False)
        # Kubeflow Pipelines adds the rest of what `restricted` demands
        kubernetes.set_security_context(task, run_as_non_root=True)
        task.set_cpu_request(_CPU).set_memory_request(_MEMORY).set_memory_limit(_MEMORY_LIMIT)
    for task in of_artifacts:
        kubernetes.use_secret_as_env(task, store_secret, _STORE, optional=True)


def mount_suites(task: Any) -> None:
    """Mount the ConfigMap with expectation suites, if there is one."""
    kubernetes.use_config_map_as_volume(task, SUITES, SUITES_PATH, optional=True)


def name_pod(task: Any) -> None:
    """Set the variables with the name of a task's own pod."""
    kubernetes.use_field_path_as_env(task, POD_NAME, "metadata.name")
    kubernetes.use_field_path_as_env(task, POD_NAMESPACE, "metadata.namespace")
