"""Everything that a plan of a deployment with several predictors is made of."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pydantic import ValidationError

from fairlead.api.model_deployment import ModelDeployment, Predictor
from fairlead.api.traffic import TrafficStatus
from fairlead.core import names
from fairlead.core.children import Object
from fairlead.core.model_deployment import phases
from fairlead.core.model_deployment.artifacts import with_known_digests
from fairlead.core.model_deployment.checks import describe_problem
from fairlead.core.model_deployment.faults import Fault, find_fault
from fairlead.core.model_deployment.observed import ObservedDeployment
from fairlead.core.model_deployment.predictor_children import build_entry_service, build_predictor_children
from fairlead.core.model_deployment.revisions import build_revision, digests_of
from fairlead.core.model_deployment.shares import DesiredShare, Facts, find_entry, list_known, read_desired
from fairlead.core.model_deployment.status import count_desired
from fairlead.core.model_deployment.traffic import is_in_force
from fairlead.core.model_deployment.unused import is_applied
from fairlead.core.settings import Settings
from fairlead.core.views import ChildView, PodView


@dataclass(frozen=True)
class PredictorScene:
    """What is known of a deployment and its predictors."""

    deployment: ModelDeployment
    observed: ObservedDeployment
    state: TrafficStatus | None
    fault: Fault | None
    children: Mapping[str, list[Object]]
    """The children of each predictor of the spec; empty if they are not known, such as while the spec is invalid."""
    contents: Mapping[str, str]
    """A hash of what determines each predictor's pods; as above."""

    @property
    def desired(self) -> tuple[DesiredShare, ...]:
        """Return the desired traffic of each predictor, from the spec."""
        return read_desired(self.deployment.spec.predictors)

    @property
    def entry(self) -> Predictor:
        """Return the predictor that is to be the entry."""
        return find_entry(self.deployment.spec.predictors)

    @property
    def empty(self) -> frozenset[str]:
        """Return the predictors whose replicas are 0."""
        predictors = self.deployment.spec.predictors
        return frozenset(each.name for each in predictors if not count_desired(self.deployment, each))

    def view(self, predictor: str) -> ChildView | None:
        """Return a predictor's Deployment."""
        name = names.predictor_name(self.deployment, predictor)
        return next((view for view in self.observed.deployments if view.name == name), None)

    def pods(self, predictor: str) -> tuple[PodView, ...]:
        """Return a predictor's pods that are not being deleted."""
        return tuple(pod for pod in self.observed.pods if pod.server == predictor and not pod.deleting)

    def servers(self, predictor: str) -> tuple[PodView, ...]:
        """Return those of them that can be asked."""
        return tuple(pod for pod in self.pods(predictor) if pod.ready and pod.ip)

    def count_confirmed(self, predictor: str) -> int:
        """Return how many of them do what the status says."""
        status = self.deployment.status
        said = {reading.pod for reading in self.observed.traffic.servers if is_in_force(status, reading.facts)}
        return sum(pod.uid in said for pod in self.servers(predictor))

    def count_servers(self, predictors: Iterable[str]) -> tuple[int, int]:
        """Return how many servers of some predictors do what the status says, and how many there are."""
        known = tuple(predictors)
        return sum(map(self.count_confirmed, known)), sum(len(self.servers(name)) for name in known)

    def all_confirmed(self, predictor: str) -> bool:
        """Return whether all of them do, and there are some."""
        return 0 < len(self.servers(predictor)) == self.count_confirmed(predictor)

    def lacks_pods(self, predictor: Predictor) -> bool:
        """Return whether a predictor's Deployment does not have all its pods ready."""
        view = self.view(predictor.name)
        return view is None or not view.settled or view.ready < count_desired(self.deployment, predictor)

    def gather(self) -> Facts:
        """Return the facts that the next state depends on."""
        predictors = self.deployment.spec.predictors
        services = {view.name: view.cluster_ip or "" for view in self.observed.services}
        addresses = {
            predictor.name: services.get(names.predictor_service_name(self.deployment, predictor.name), "")
            for predictor in predictors
        }
        return Facts(
            ready=frozenset(
                predictor.name
                for predictor in predictors
                if predictor.name not in self.empty
                and addresses[predictor.name]
                and self.children.get(predictor.name)
                and all(is_applied(child, self.observed) for child in self.children[predictor.name])
                and not self.lacks_pods(predictor)
            ),
            empty=self.empty,
            confirmed=frozenset(name for name in self._known() if self.all_confirmed(name)),
            addresses=addresses,
            contents=self.contents,
            serving=self._find_serving(),
            selected=self.state is not None
            and is_applied(build_entry_service(self.deployment, self.state.entry), self.observed),
        )

    def _known(self) -> tuple[str, ...]:
        return list_known(self.state) if self.state else ()

    def _find_serving(self) -> str:
        """Return the predictor whose pods have answered until now; empty if there is none.

        It may be one of an earlier spec, if the pods of a later one were not ready when the spec changed again.
        """
        ready = Counter(
            pod.predictor
            for pod in self.observed.pods
            if pod.ready and pod.ip and not (pod.deleting or pod.revision) and self.view(pod.predictor)
        )
        if ready and (not ready[self.entry.name] or self.lacks_pods(self.entry)):
            return max(sorted(ready), key=ready.__getitem__)
        known = self.deployment.status.predictors
        return known[0].name if not ready and len(known) == 1 and self.view(known[0].name) else ""


def set_predictor_scene(
    deployment: ModelDeployment, observed: ObservedDeployment, settings: Settings
) -> PredictorScene:
    """Return what is known; the children of predictors only while nothing is wrong with the spec and its models."""
    artifacts = with_known_digests(deployment, observed.artifacts)
    fault = find_fault(deployment, artifacts, settings)
    scene = PredictorScene(deployment, observed, deployment.status.traffic, fault, {}, {})
    if fault or artifacts.pending:
        return scene
    children, contents = {}, {}
    for predictor in deployment.spec.predictors:
        digests = digests_of(predictor, artifacts.digests)
        try:
            children[predictor.name] = build_predictor_children(deployment, predictor, digests, settings)
            contents[predictor.name] = build_revision(predictor, digests, settings).name
        except ValidationError as error:
            return replace(scene, fault=Fault(phases.INVALID, describe_problem(error)))
    return replace(scene, children=children, contents=contents)
