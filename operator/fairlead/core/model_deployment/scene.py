"""Everything that a plan of a deployment with revisions is made of."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.rollout import RolloutStatus
from fairlead.core import names
from fairlead.core.conditions import Finding
from fairlead.core.model_deployment import phases
from fairlead.core.model_deployment.artifacts import with_known_digests
from fairlead.core.model_deployment.checks import describe_problem
from fairlead.core.model_deployment.faults import Fault, check_allowed, find_fault
from fairlead.core.model_deployment.graph_document import build_graph
from fairlead.core.model_deployment.model_cards import check_model_cards
from fairlead.core.model_deployment.observed import ObservedDeployment
from fairlead.core.model_deployment.revisions import Revision, build_revision, digests_of, read_revisions
from fairlead.core.model_deployment.shares import find_entry
from fairlead.core.model_deployment.status import count_desired
from fairlead.core.model_deployment.traffic import count_in_force
from fairlead.core.model_deployment.transitions import Revisions
from fairlead.core.settings import Settings
from fairlead.core.views import ChildView, PodView


@dataclass(frozen=True)
class Scene:
    """What is known of a deployment and its revisions."""

    deployment: ModelDeployment
    observed: ObservedDeployment
    state: Revisions
    known: Mapping[str, Revision]
    """The revisions whose content is known, by name."""
    desired: str | None
    """The revision of the spec; None if it is not known."""
    fault: Fault | None
    replicas: int
    uncarded: Finding | None = None
    """Why the revision of the spec may not be promoted: a model without a card that passes."""

    def view(self, revision: str | None) -> ChildView | None:
        """Return a revision's Deployment."""
        name = names.revision_name(self.deployment, revision) if revision else ""
        return next((view for view in self.observed.deployments if view.name == name), None)

    def ready(self, revision: str | None) -> int:
        """Return the number of a revision's ready pods."""
        view = self.view(revision)
        return view.ready if view else 0

    def address(self, revision: str | None) -> str:
        """Return the address of a revision's Service; empty if it has none."""
        name = names.revision_name(self.deployment, revision) if revision else ""
        return next((view.cluster_ip or "" for view in self.observed.services if view.name == name), "")

    def pods(self, revision: str | None) -> tuple[PodView, ...]:
        """Return a revision's pods that are not being deleted."""
        return tuple(pod for pod in self.observed.pods if pod.revision == revision and not pod.deleting)


def set_scene(deployment: ModelDeployment, observed: ObservedDeployment, settings: Settings) -> Scene:
    """Return what is known, and the revision that the spec asks for."""
    status = deployment.status
    state = Revisions(status.stable_revision, status.candidate_revision, status.rollout or RolloutStatus())
    known = {
        name: revision
        for name, revision in read_revisions(observed.revisions).items()
        # what the administrator allows may have changed since
        if not check_allowed(_with_predictor(deployment, revision), settings)
    }
    artifacts = with_known_digests(deployment, observed.artifacts)
    fault, desired = find_fault(deployment, artifacts, settings), None
    predictor = find_entry(deployment.spec.predictors)
    if not fault and not artifacts.pending:
        try:
            digests = digests_of(predictor, artifacts.digests)
            revision = build_revision(predictor, digests, settings)
            build_graph(deployment, predictor, digests)
            known, desired = {**known, revision.name: revision}, revision.name
        except ValidationError as error:
            fault = Fault(phases.INVALID, describe_problem(error))
    uncarded = check_model_cards(deployment, artifacts) if desired else None
    return Scene(deployment, observed, state, known, desired, fault, count_desired(deployment, predictor), uncarded)


def list_servers(scene: Scene) -> tuple[PodView, ...]:
    """Return the pods of the stable revision that can be asked."""
    return tuple(pod for pod in scene.pods(scene.state.stable) if pod.ready and pod.ip)


def count_confirmed(scene: Scene) -> int:
    """Return how many of them do what the status says."""
    return count_in_force(scene.deployment.status, scene.observed.traffic.servers)


def _with_predictor(deployment: ModelDeployment, revision: Revision) -> ModelDeployment:
    spec = deployment.spec.model_copy(update={"predictors": [revision.predictor]})
    return deployment.model_copy(update={"spec": spec})
