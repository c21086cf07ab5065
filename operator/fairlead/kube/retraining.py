"""What is seen of the runs that train a deployment's model again: their jobs and pods, and who trained the models."""

from collections.abc import Iterable

from fairlead.api.model_deployment import ModelDeployment
from fairlead.core import names
from fairlead.core.conditions import Rejection
from fairlead.core.model_deployment.observed import Artifacts, ObservedRetraining
from fairlead.core.views import JobView, PodView
from fairlead.kube.children import Child
from fairlead.kube.job_views import view_job
from fairlead.kube.kinds import POD, TRAINING_JOB, Key
from fairlead.kube.resources import ResourceCache

_UID_DIGITS = 8
"""Of a job's uid in its model version."""


def is_of_retraining(rejection: Rejection | None) -> bool:
    """Return whether a child that was rejected is one of a run: no other child of a deployment is of these kinds."""
    return rejection is not None and rejection.kind in (TRAINING_JOB.kind, POD.kind)


def observe_retraining(
    resources: ResourceCache,
    deployment: ModelDeployment,
    owned: Iterable[Child],
    artifacts: Artifacts,
    rejection: Rejection | None,
) -> ObservedRetraining:
    """Return what is known of a deployment's runs."""
    views = [child.view for child in owned]
    asked = deployment.spec.monitor is not None and deployment.spec.monitor.retrain is not None
    return ObservedRetraining(
        jobs=tuple(view for view in views if isinstance(view, JobView)),
        converters=tuple(view for view in views if isinstance(view, PodView) and view.role == names.CONVERTER),
        trainers=tuple(_find_trainers(resources, deployment.metadata.namespace, artifacts)) if asked else (),
        rejection=rejection,
    )


def _find_trainers(resources: ResourceCache, namespace: str, artifacts: Artifacts) -> Iterable[JobView]:
    """Yield the jobs that name the versions of the models' parents; planners compare what they published."""
    parents = (parent.uri for node in artifacts.nodes for parent in node.artifact.parents)
    for version in sorted({uri.rpartition("/")[2] for uri in parents}):
        name = version[: -_UID_DIGITS - 1]
        stored = resources.get(Key(TRAINING_JOB.kind, namespace, name))
        if stored and version == f"{name}-{stored.uid[:_UID_DIGITS]}":
            yield view_job(stored.load())
