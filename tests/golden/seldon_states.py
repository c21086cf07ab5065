"""Deployments with `engine: Seldon` in each of their states."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fairlead.api.model_deployment import ModelDeployment
from fairlead.core import names
from fairlead.core.artifacts import ArtifactFacts
from fairlead.core.conditions import Finding
from fairlead.core.model_deployment.observed import Artifacts, NodeArtifact, ObservedDeployment, ObservedSeldon
from fairlead.core.model_deployment.scaling import build_scaling
from fairlead.core.model_deployment.seldon_build import KIND, build_seldon_children, find_content
from fairlead.core.settings import Settings
from fairlead.core.views import ChildView, PodView, SeldonView

from tests.golden.rollout_states import State
from tests.support.resources import DIGEST, Object
from tests.support.seldon import report
from tests.support.seldon_shapes import LEAF, SPECS, URI, make_seldon

_OF_VIEW = ("observed", "description", "url", "changed")
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
ARTIFACTS = Artifacts((NodeArtifact("leaf", URI, ArtifactFacts(URI, DIGEST)),))
UNREADABLE = Artifacts((NodeArtifact("leaf", URI, ArtifactFacts(URI, error=f"{URI}: timeout", unavailable=True)),))
KNOWN = {"provenance": [{"name": "leaf", "uri": URI, "digest": DIGEST}]}
CRASHING = PodView("seldon-x", "u", waiting="container leaf: CrashLoopBackOff", restarts=3,
                   termination_message="node leaf: model.onnx is truncated")  # fmt: skip
ONE = SPECS["a model"]
FAR_AWAY = make_seldon(ONE)
FAR_AWAY = FAR_AWAY.model_copy(update={"metadata": FAR_AWAY.metadata.model_copy(update={"namespace": "n" * 254})})
TWO = SPECS["a shadow before the others"]


def _one(graph: Object) -> Object:
    return {"predictors": [{"name": "main", "graph": graph}]}


def _view(child: Object) -> ChildView:
    meta = child["metadata"]
    return ChildView(meta["name"], f"uid-{meta['name']}", meta["annotations"][names.APPLIED_HASH])


def observe(
    deployment: ModelDeployment, ready: dict[str, int], state: str = "", content: str | None = None, **changes: Any
) -> ObservedDeployment:
    """Return what is seen after everything was applied, and Seldon Core has acted on it."""
    children = [*build_seldon_children(deployment, {URI: DIGEST}, Settings()), *build_scaling(deployment)]
    resource = next(child for child in children if child["kind"] == KIND)
    status = report(resource, ready, state)
    pods = tuple(
        (name, each["replicas"], each["availableReplicas"]) for name, each in status["deploymentStatus"].items()
    )
    view = SeldonView(
        resource["metadata"]["name"], "uid-seldon", _view(resource).applied_hash, generation=2,
        state=status["state"], url=status["address"]["url"], pods=pods,
    )  # fmt: skip
    settled = changes.pop("settled", True)
    deployments = tuple(
        ChildView(
            names.seldon_pods_name(deployment, each.name), "uid", settled=settled,
            content=content or find_content(resource, each.name),
        )
        for each in deployment.spec.predictors
    )  # fmt: skip
    views: dict[str, tuple[ChildView, ...]] = {
        kind: tuple(_view(child) for child in children if child["kind"] == kind)
        for kind in ("ConfigMap", "HorizontalPodAutoscaler", "PodDisruptionBudget")
    }
    if changes.pop("empty", False):
        view, deployments = replace(view, state="", url="", pods=()), ()
    known = {key: changes.pop(key) for key in list(changes) if key in _OF_VIEW}
    seen = ObservedDeployment(
        config_maps=views["ConfigMap"], autoscalers=views["HorizontalPodAutoscaler"],
        budgets=views["PodDisruptionBudget"], artifacts=ARTIFACTS,
        seldon=ObservedSeldon((replace(view, **known),), deployments),
    )  # fmt: skip
    return replace(seen, **changes)


def _state(
    reason: str, spec: Object, observed: ObservedDeployment | None = None, status: Object | None = None
) -> State:
    seen = observed or ObservedDeployment(artifacts=ARTIFACTS)
    return State(reason, make_seldon(spec, status), seen, NOW)


def _served(reason: str, spec: Object, ready: dict[str, int], **changes: Any) -> State:
    return _state(reason, spec, observe(make_seldon(spec), ready, **changes))


def _rejected(field: str, value: Any) -> State:
    return _state("what a SeldonDeployment cannot express is rejected", _one({"name": "classifier", field: value}))


_MANY = _one({
    "name": "mean", "implementation": "AVERAGE_COMBINER",
    "children": [
        {"name": f"n{at}", "implementation": "AVERAGE_COMBINER",
         "children": [{**LEAF, "name": f"m{at}-{each}"} for each in range(16)]}
        for at in range(3)
    ],
})  # fmt: skip
_ALL = {"main": 1, "canary": 1, "dark": 1}
SELDON_STATES: dict[str, State] = {
    **{
        f"seldon-new-{name}": _state("everything is created", SPECS[shape])
        for name, shape in {
            "model": "a model", "transformer": "a transformer above a container", "router": "a router that learns",
            "combiner": "a built-in combiner", "output": "an output transformer",
            "port": "a container at a port of its own", "predictors": "a shadow before the others",
            "server": "a server with settings", "batching": "batching", "scaling": "scaling",
        }.items()
    },
    "seldon-missing": _state("there is no Seldon Core", ONE, ObservedDeployment(
        artifacts=ARTIFACTS, seldon=ObservedSeldon(refusal="missing"))),
    "seldon-forbidden": _state("the operator may not read it", ONE, ObservedDeployment(
        artifacts=ARTIFACTS, seldon=ObservedSeldon(refusal="forbidden"))),
    "seldon-unreadable": _state("the operator may not read it", ONE, ObservedDeployment(
        artifacts=ARTIFACTS, seldon=ObservedSeldon(refusal="unreadable"))),
    "seldon-being-listed": _state("SeldonDeployments are not read yet", ONE, ObservedDeployment(
        artifacts=ARTIFACTS, seldon=ObservedSeldon(pending=True))),
    "seldon-models-being-read": _state("the models are not read yet", ONE, ObservedDeployment(
        artifacts=Artifacts(pending=True))),
    "seldon-model-missing": _state("a gate holds as for the other engine", ONE, ObservedDeployment(artifacts=Artifacts(
        (NodeArtifact("leaf", URI, ArtifactFacts(URI, error="it is not there", missing=True)),)))),
    "seldon-rejected": _state("the API server rejects the SeldonDeployment", ONE, ObservedDeployment(
        artifacts=ARTIFACTS, rejection=Finding("Rejected", "admission webhook denied the request"))),
    "seldon-contract": State("a graph that the contract of the graph server rejects", FAR_AWAY,
                             ObservedDeployment(artifacts=ARTIFACTS), NOW),
    "seldon-silent": _served("nothing is reported yet", ONE, {}, empty=True),
    "seldon-pods-failing": _served("a pod says why", ONE, {}, pods=(CRASHING,)),
    "seldon-creating": _served("Seldon Core creates the pods", TWO, {"main": 1}),
    "seldon-pods-not-ready": _served("a state may be that of an earlier moment", TWO, {"main": 1}, state="Available"),
    "seldon-pods-replaced": _served("pods of the earlier spec are left", ONE, _ALL, settled=False),
    "seldon-other-content": _served("Seldon Core has not acted on the spec", ONE, _ALL, content="0"),
    "seldon-other-generation": _served("Seldon Core says so itself", ONE, _ALL, observed=1),
    "seldon-failed": _served("Seldon Core reports a failure", ONE, {}, state="Failed", description="no engine image"),
    "seldon-ready": _served("everything serves", TWO, _ALL),
    "seldon-scaled-to-zero": _served("no pods are asked for", SPECS["no pods"], {}),
    "seldon-foreign-url": _served("a URL of another namespace is not passed on", ONE, _ALL,
                                  url="http://digits-main.other.svc.cluster.local:8000/"),
    "seldon-foreign-domain": _served("a URL of another domain is one of the namespace's own Service", ONE, _ALL,
                                     url="http://digits-main.default.svc.evil.example:8000/"),
    "seldon-changed-by-others": _served("drift is repaired", ONE, _ALL, changed=True),
    "seldon-store-down": _state("what serves goes on without the store", ONE, replace(
        observe(make_seldon(ONE), _ALL), artifacts=UNREADABLE), KNOWN),
    "seldon-not-rest": _rejected("endpoint", {"type": "GRPC"}),
    "seldon-elsewhere": _rejected("endpoint", {"service_host": "far.other.svc", "service_port": 8001}),
    "seldon-v2": _rejected("protocol", "v2"),
    "seldon-timeout": _rejected("timeoutSeconds", 2.5),
    "seldon-retries": _rejected("retries", 1),
    "seldon-executors-name": _state("a name is Seldon's", _one(LEAF | {"name": "seldon-container-engine"})),
    "seldon-too-many-containers": _state("a pod has room for so many", _MANY),
    "seldon-executors-port": _rejected("endpoint", {"service_port": 8000}),
}  # fmt: skip
