"""What the pipelines have in common: their outputs, and the settings of their tasks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from kfp import kubernetes

_STORE = {name: name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION")}


class Outputs(NamedTuple):
    """The outputs of a run."""

    url: str
    model_version: str


def prepare_tasks(of_artifacts: Sequence[Any], of_resources: Sequence[Any], store_secret: str) -> None:
    """Configure tasks that read and write artifacts themselves, and those whose pods do."""
    for task in (*of_artifacts, *of_resources):
        # The artifacts of a cached task may be deleted, and resources are not outputs; our steps are idempotent anyway.
        task.set_caching_options(False)
    for task in of_artifacts:
        kubernetes.use_secret_as_env(task, store_secret, _STORE, optional=True)
