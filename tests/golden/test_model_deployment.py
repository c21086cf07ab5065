"""The planner of ModelDeployments: a case for each decision, compared with a golden file."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fairlead.api.base import ArtifactRef
from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.monitor import ColumnDrift
from fairlead.core import names
from fairlead.core.artifacts import ArtifactFacts
from fairlead.core.conditions import Finding
from fairlead.core.model_deployment.accelerated import DeviceMeasures
from fairlead.core.model_deployment.build import build_children
from fairlead.core.model_deployment.drift import DriftMeasures
from fairlead.core.model_deployment.exposure_checks import _check_taken, check_annotations, check_hosts
from fairlead.core.model_deployment.exposure_checks import check_access as check_route_access
from fairlead.core.model_deployment.exposure_plan import _build_events as _build_exposure_events
from fairlead.core.model_deployment.exposure_plan import _plan_removal, _plan_routes, with_exposure
from fairlead.core.model_deployment.exposure_status import (
    _explain_parent,
    _explain_route,
    _read_reports,
    build_urls,
    explain_routes,
)
from fairlead.core.model_deployment.observed import Artifacts, NodeArtifact, ObservedDeployment, ServiceAnswer
from fairlead.core.model_deployment.plan import _plan_serving, plan_model_deployment
from fairlead.core.model_deployment.predictor_plan import _act as _act_split
from fairlead.core.model_deployment.predictor_plan import plan_predictors
from fairlead.core.model_deployment.predictor_status import explain_predictors
from fairlead.core.model_deployment.retrain import _follow_conversion, _follow_job, _go_on, _may_begin, _settle
from fairlead.core.model_deployment.retrain import advance as advance_run
from fairlead.core.model_deployment.retrain_facts import _find_checkpoints, _judge_rollout, _read_conversion
from fairlead.core.model_deployment.retrain_plan import _build_missing, with_retraining
from fairlead.core.model_deployment.retrain_status import _describe, explain_retraining
from fairlead.core.model_deployment.retrain_status import build_events as build_run_events
from fairlead.core.model_deployment.retrained import find_retrained_model, find_target, with_retrained_model
from fairlead.core.model_deployment.revision_plan import _act, plan_revisions
from fairlead.core.model_deployment.revision_status import explain
from fairlead.core.model_deployment.seldon_checks import _check_node, _check_pod, check_access
from fairlead.core.model_deployment.seldon_plan import _plan_serving as _plan_seldon_serving
from fairlead.core.model_deployment.seldon_plan import plan_seldon
from fairlead.core.model_deployment.seldon_status import _check_seen, _check_state, explain_seldon
from fairlead.core.plan import Plan
from fairlead.core.settings import Settings
from fairlead.core.views import ChildView, PodView
from fairlead_contracts.termination import GraphFailure, GraphFailureReport, encode_report

from tests.golden.exposure_states import EXPOSED_STATES
from tests.golden.retraining_states import RETRAINING_STATES
from tests.golden.rollout_states import STATES
from tests.golden.seldon_states import SELDON_STATES
from tests.golden.split_states import SPLIT_STATES
from tests.support.golden import check_golden
from tests.support.model_cards import without_cards
from tests.support.resources import DIGEST, NODE_CONTAINER, make_deployment
from tests.support.returns import recorded_lines, return_lines

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
DEFAULTS = Settings()
KEY = "ab" * 32
ARTIFACTS = Artifacts(
    (
        NodeArtifact("scaler", "s3://models/scaler/v1", ArtifactFacts("s3://models/scaler/v1", DIGEST)),
        NodeArtifact("classifier", "s3://models/digits/v1", ArtifactFacts("s3://models/digits/v1", DIGEST)),
    ),
    (ArtifactRef(name="scaler", uri="s3://models/scaler/v1", digest=DIGEST),),
)
MISSING = NodeArtifact(
    "scaler", "s3://models/scaler/v1", ArtifactFacts("s3://models/scaler/v1", error="…", missing=True)
)
NODE = "spec__predictors__0__graph__children__0__"
REMOTE = make_deployment(
    **{f"{NODE}modelUri": ..., "spec__predictors__0__componentSpecs": [NODE_CONTAINER], "spec__replicas": 2}
)

RATIO = [{"name": "ratioA", "value": "0.2", "type": "FLOAT"}]
BUILT_IN = make_deployment(
    spec__predictors__0__graph={
        "name": "split", "implementation": "RANDOM_ABTEST", "parameters": RATIO,
        "children": [
            {"name": "scaler", "modelUri": "s3://models/scaler/v1"},
            {"name": "classifier", "parameters": [{"name": "factor", "value": "2", "type": "INT"}]},
        ],
    },
    spec__predictors__0__componentSpecs=[NODE_CONTAINER],
)  # fmt: skip

FAR = {"service_host": "far.other.svc", "service_port": 8001, "type": "GRPC"}
SERVERS = make_deployment(
    spec__predictors__0__graph={
        "name": "mean", "implementation": "AVERAGE_COMBINER",
        "children": [
            {"name": "scaler", "modelUri": "s3://models/scaler/v1"},
            {"name": "far", "endpoint": FAR, "protocol": "v2", "modelName": "digits", "timeoutSeconds": 2.5,
             "retries": 2},
            {"name": "classifier", "endpoint": {"type": "GRPC"}},
            {"name": "triton", "endpoint": {"type": "REST", "service_port": 8000}, "protocol": "v2"},
        ],
    },
    spec__predictors__0__componentSpecs=[
        {"spec": {"containers": [*NODE_CONTAINER["spec"]["containers"], {"name": "triton", "image": "example/v2:1"}]}}
    ],
    spec__predictors__0__batching={"maxBatchSize": 16, "maxDelayMilliseconds": 2.5},
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One decision: its reason and the observed state."""

    reason: str
    deployment: ModelDeployment
    observed: ObservedDeployment
    now: datetime = NOW
    settings: Settings = DEFAULTS


def applied(deployment: ModelDeployment, ready: int = 1) -> ObservedDeployment:
    """Return the observed state after everything was applied, with `ready` pods."""
    children = build_children(deployment, ARTIFACTS.digests, Settings())
    views = {kind: tuple(view(c, ready) for c in children if c["kind"] == kind) for kind in
             ("Deployment", "Service", "ConfigMap")}  # fmt: skip
    return ObservedDeployment(
        views["Deployment"], views["Service"], views["ConfigMap"], (), ARTIFACTS, ServiceAnswer(200)
    )


def view(child: dict[str, Any], ready: int) -> ChildView:
    meta = child["metadata"]
    digest = meta["annotations"][names.APPLIED_HASH]
    return ChildView(meta["name"], f"uid-{meta['name']}", digest, replicas=1, ready=ready, settled=True)


def wrong(**changes: Any) -> Case:
    return Case("an invalid graph is rejected", make_deployment(**changes), ObservedDeployment())


GOOD = make_deployment()
SERVING = applied(GOOD)
CRASHING = PodView("digits-main-x", "u", waiting="container graph-server: CrashLoopBackOff", restarts=3,
                   termination_message="node classifier: model.onnx is truncated")  # fmt: skip

SERVER = {
    "resources": {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"memory": "4Gi"}},
    "env": [{"name": "FAIRLEAD_MAX_BODY_BYTES", "value": "33554432"}],
    "template": {
        "metadata": {"labels": {"team": "vision", "fairlead.dev/deployment": "other"}, "annotations": {"note": "a"}},
        "spec": {
            "nodeSelector": {"disk": "fast"}, "tolerations": [{"key": "serving", "operator": "Exists"}],
            "volumes": [{"name": "cache", "emptyDir": {}}], "imagePullSecrets": [{"name": "registry"}],
        },
    },
}  # fmt: skip
SCALED = {
    "spec__autoscaling": {
        "minReplicas": 2, "maxReplicas": 8, "targetUtilizationPercentage": 70, "targetConcurrency": 20,
    },
    "spec__disruptionBudget": {"maxUnavailable": 1},
}  # fmt: skip
MONITORED = make_deployment(
    spec__monitor={"drift": {"windowSeconds": 600, "minRows": 100, "maxPsi": 0.2, "samplePercent": 50}}
)
DRIFTED = DriftMeasures(
    NOW, servers=1, answered=1, models="0123456789abcdef", rows=500, columns=74, exceeded=1, above=1, worst=(
        ColumnDrift(predictor="main", node="classifier", side="input", tensor="image", column=28, psi=6.91,
                    critical_psi=0.531),
    ),
)  # fmt: skip
GPU = make_deployment(spec__predictors__0__server={"resources": {"limits": {"nvidia.com/gpu": 1, "memory": "8Gi"}}})
EMPTY = make_deployment(spec__replicas=0)
KNOWN = make_deployment({"provenance": [
    {"name": "scaler", "uri": "s3://models/scaler/v1", "digest": DIGEST},
    {"name": "classifier", "uri": "s3://models/digits/v1", "digest": DIGEST},
]})  # fmt: skip
UNREADABLE = Artifacts(tuple(
    replace(node, artifact=ArtifactFacts(node.model_uri, error=f"{node.model_uri}: timeout", unavailable=True))
    for node in ARTIFACTS.nodes
))  # fmt: skip
REJECTED_BY_CONTRACT = GOOD.model_copy(update={"metadata": GOOD.metadata.model_copy(update={"namespace": "n" * 254})})

REJECTED = encode_report(
    GraphFailureReport(failure=GraphFailure(at="node classifier", message="node classifier: is not a model"))
).decode()

PLAIN = {
    "new": Case("everything is created", GOOD, ObservedDeployment(artifacts=ARTIFACTS)),
    "new-remote-node": Case("a container gets a port, the graph its endpoint", REMOTE,
                            ObservedDeployment(artifacts=ARTIFACTS)),
    "new-built-in": Case("a router of the graph server's own, and a container with parameters", BUILT_IN,
                         ObservedDeployment(artifacts=ARTIFACTS)),
    "new-remote-server": Case("servers elsewhere and in the pod, over gRPC and REST, and models in batches", SERVERS,
                              ObservedDeployment(artifacts=ARTIFACTS)),
    "new-learning-router": Case("a router that learns keeps what it has learned in the pod's working folder",
                                make_deployment(spec__predictors__0__graph={
                                    "name": "choose", "implementation": "EPSILON_GREEDY",
                                    "children": [{"name": "scaler", "modelUri": "s3://models/scaler/v1"}],
                                }), ObservedDeployment(artifacts=ARTIFACTS)),
    "new-with-secret": Case("the store's credentials come from a Secret, by reference",
                            make_deployment(spec__predictors__0__graph__envSecretRefName="store"),
                            ObservedDeployment(artifacts=ARTIFACTS)),
    "pods-not-ready": Case("it waits for its pods", GOOD, applied(GOOD, ready=0)),
    "pods-failing": Case("a pod's termination message is reported", GOOD,
                         replace(applied(GOOD, ready=0), pods=(CRASHING,))),
    "pods-failing-with-a-report": Case(
        "the graph server's report is read, not shown as JSON", GOOD,
        replace(applied(GOOD, ready=0), pods=(replace(CRASHING, termination_message=REJECTED),)),
    ),
    "not-answering": Case("ready pods are not enough: the Service must respond", GOOD,
                          replace(SERVING, answer=ServiceAnswer(503))),
    "models-being-read": Case("nothing is decided until the artifact store has answered", GOOD,
                              ObservedDeployment(artifacts=Artifacts(pending=True))),
    "store-down": Case("a deployment that does not serve yet waits for the store", GOOD,
                       ObservedDeployment(artifacts=UNREADABLE)),
    "store-down-while-serving": Case("what serves keeps serving, with the digests that were read before", KNOWN,
                                     replace(SERVING, artifacts=UNREADABLE)),
    "changed-by-somebody-else": Case("a child that somebody changed is applied again", GOOD, replace(
        SERVING, services=tuple(replace(each, changed=True) for each in SERVING.services))),
    "new-with-pull-secrets": Case(
        "the pods get the administrator's pull secrets", GOOD, ObservedDeployment(artifacts=ARTIFACTS),
        settings=Settings(image_pull_secrets="registry"),
    ),
    "new-with-autoscaling": Case(
        "an autoscaler of the deployment's own scale, and a budget for its pods",
        make_deployment(**SCALED), ObservedDeployment(artifacts=ARTIFACTS),
    ),
    "new-monitored": Case(
        "servers are told what to count, and the limits stay with the operator",
        MONITORED, ObservedDeployment(artifacts=ARTIFACTS),
    ),
    "ready-and-drifted": Case(
        "requests that have drifted are a condition of their own, with figures and an event",
        MONITORED, replace(applied(MONITORED), drift=DRIFTED),
    ),
    "new-with-a-gpu": Case(
        "a graph server that asks for a GPU gets the image with CUDA, and nobody has said yet that it can use it",
        GPU, ObservedDeployment(artifacts=ARTIFACTS), settings=Settings(graph_server_cuda_image="registry/cuda:2"),
    ),
    "ready-without-its-gpu": Case(
        "a model that runs on the CPU although a GPU was asked for serves, and the condition and an event say why",
        GPU, replace(applied(GPU), devices=DeviceMeasures(
            1, 1, 1, 2, "NVIDIA's driver finds no GPU: no CUDA-capable device is detected (error 100) (node classifier)"
        )),
    ),
    "scaling-no-longer-asked-for": Case(
        "an autoscaler and a budget of an earlier spec are deleted", GOOD,
        replace(SERVING, autoscalers=(ChildView("digits", "uid-a"),), budgets=(ChildView("digits", "uid-b"),)),
    ),
    "new-with-processes": Case(
        "each process of the models adds to what the pod requests",
        make_deployment(spec__predictors__0__server={"processes": 3}), ObservedDeployment(artifacts=ARTIFACTS),
    ),
    "processes-without-memory": Case(
        "the default limit is enough for six processes",
        make_deployment(spec__predictors__0__server={"processes": 7}), ObservedDeployment(artifacts=ARTIFACTS),
    ),
    "new-with-processes-and-memory": Case(
        "several processes divide the limit of the container",
        make_deployment(spec__predictors__0__server={"processes": 7, "resources": {"limits": {"memory": "4Gi"}}}),
        ObservedDeployment(artifacts=ARTIFACTS),
    ),
    "processes-on-a-gpu": Case(
        "a GPU serves one process",
        make_deployment(spec__predictors__0__server={
            "processes": 2, "resources": {"limits": {"nvidia.com/gpu": 1}},
        }), ObservedDeployment(artifacts=ARTIFACTS),
    ),
    "new-with-server": Case(
        "the user's resources, variables and scheduling of the pods",
        make_deployment(spec__predictors__0__server=SERVER), ObservedDeployment(artifacts=ARTIFACTS),
    ),
    "new-with-api-keys": Case(
        "a Secret's keys are files of the graph server alone, and its value is nowhere",
        make_deployment(
            spec__predictors__0__server={"auth": {"apiKeySecret": {"name": "shop"}}},
            spec__predictors__0__graph={"name": "classifier", "type": "MODEL"},
            spec__predictors__0__componentSpecs=[{"spec": {"containers": [{"name": "classifier", "image": "c:1"}]}}],
        ),
        ObservedDeployment(artifacts=Artifacts()),
    ),
    "new-with-api-keys-of-one-file": Case(
        "one key of the Secret's data",
        make_deployment(spec__predictors__0__server={"auth": {"apiKeySecret": {"name": "shop", "key": "api.keys"}}}),
        ObservedDeployment(artifacts=ARTIFACTS),
    ),
    "server-with-our-variable": Case(
        "what the operator sets cannot be changed",
        make_deployment(spec__predictors__0__server={"env": [{"name": "FAIRLEAD_GRPC_PORT", "value": "1"}]}),
        ObservedDeployment(),
    ),
    "server-with-a-service-account": Case(
        "the pods of the graph server may use no service account that the administrator does not allow",
        make_deployment(spec__predictors__0__server={"template": {"spec": {"serviceAccountName": "admin"}}}),
        ObservedDeployment(),
    ),
    "provenance-incomplete": Case(
        "a model whose origin is not known is not served, if the deployment asks for it",
        make_deployment(spec__requireProvenance={}),
        ObservedDeployment(artifacts=replace(ARTIFACTS, nodes=tuple(
            replace(node, artifact=replace(node.artifact, kind="onnx-model")) for node in ARTIFACTS.nodes
        ))),
    ),
    "model-card-missing": Case(
        "a model that nobody has evaluated is not served, if the deployment asks for its card",
        make_deployment(spec__requireModelCard={"metric": "accuracy", "minimum": 0.9}),
        ObservedDeployment(artifacts=without_cards(ARTIFACTS)),
    ),
    "rejected": Case("a rejected child is reported", GOOD, ObservedDeployment(
        artifacts=ARTIFACTS, rejection=Finding("Rejected", "Service digits exists and has another owner"))),
    "scaled-to-zero": Case("without replicas it is as desired, and not polled", EMPTY, replace(
        applied(EMPTY, ready=0), answer=None)),
    "pods-exist-but-are-not-ready": Case("autoscalers see the pods that exist", GOOD, replace(
        applied(GOOD), deployments=tuple(replace(each, replicas=3, ready=1, settled=False)
                                         for each in applied(GOOD).deployments))),
    "new-with-metadata": Case("componentSpecs add labels and annotations, but none that Services select by",
                              make_deployment(**{f"{NODE}modelUri": ..., "spec__predictors__0__componentSpecs": [
                                  NODE_CONTAINER | {"metadata": {
                                      "labels": {"team": "vision", "fairlead.dev/deployment": "other",
                                                 "app.kubernetes.io/managed-by": "me"},
                                      "annotations": {"sidecar.istio.io/inject": "false"}}}]}),
                              ObservedDeployment(artifacts=ARTIFACTS)),
    "names-that-could-collide": Case("a-b/c and a/b-c have different children",
                                     make_deployment(metadata__name="a", spec__predictors__0__name="b-c"),
                                     ObservedDeployment(artifacts=ARTIFACTS)),
    "too-many-containers": wrong(
        **{f"{NODE}modelUri": ..., "spec__predictors__0__componentSpecs": [
            NODE_CONTAINER, *({"spec": {"containers": [{"name": f"side-{part}"}], "initContainers": [
                {"name": f"init-{part}-{index}"} for index in range(16)]}} for part in range(3))]}
    ),
    "service-account-not-allowed": wrong(
        **{f"{NODE}modelUri": ..., "spec__predictors__0__componentSpecs": [
            {"spec": {"containers": [{"name": "classifier"}], "serviceAccountName": "admin"}}]}
    ),
    "uri-not-allowed": Case(
        "a model outside of the namespace's prefixes is rejected, whatever is known of it", GOOD,
        ObservedDeployment(artifacts=ARTIFACTS),
        settings=Settings(artifact_prefixes="default=s3://models/scaler,team-b=s3://models"),
    ),
    "graph-that-the-contract-rejects": Case("what the contract rejects is a finding, not an exception",
                                            REJECTED_BY_CONTRACT, ObservedDeployment(artifacts=ARTIFACTS)),
    "not-asked-yet": Case("nothing is decided until the Service has been asked", GOOD,
                          replace(SERVING, answer=ServiceAnswer(pending=True))),
    "ready": Case("it is ready; provenance is recorded", GOOD, SERVING),
    "ready-drops-what-is-old": Case(
        "children of an earlier spec are deleted once the new one is ready", GOOD,
        replace(SERVING, config_maps=(*SERVING.config_maps, ChildView("digits-main-0ld", "uid-old"))),
    ),
    "model-missing": Case("a missing model is waited for", GOOD,
                          ObservedDeployment(artifacts=Artifacts((MISSING,)))),
    "node-below-its-own-name": wrong(**{f"{NODE}name": "scaler"}),
    "two-nodes-of-one-name": wrong(
        spec__predictors__0__graph={
            "name": "root", "type": "COMBINER",
            "children": [{"name": "a", "modelUri": "s3://models/a/1"}, {"name": "a", "modelUri": "s3://models/a/2"}],
        },
        spec__predictors__0__componentSpecs=[{"spec": {"containers": [{"name": "root"}]}}],
    ),
    "model-without-source": wrong(**{f"{NODE}modelUri": ...}),
    "model-with-two-sources": wrong(spec__predictors__0__componentSpecs=[NODE_CONTAINER]),
    "router-without-children": wrong(**{f"{NODE}modelUri": ..., f"{NODE}type": "ROUTER",
                                        "spec__predictors__0__componentSpecs": [NODE_CONTAINER]}),
    "combiner-without-children": wrong(**{f"{NODE}modelUri": ..., f"{NODE}type": "COMBINER",
                                          "spec__predictors__0__componentSpecs": [NODE_CONTAINER]}),
    "router-with-a-model": wrong(**{f"{NODE}type": "ROUTER",
                                    f"{NODE}children": [{"name": "a", "modelUri": "s3://models/a/1"}]}),
    "built-in-of-another-type": wrong(**{f"{NODE}modelUri": ..., f"{NODE}type": "MODEL",
                                         f"{NODE}implementation": "SIMPLE_ROUTER"}),
    "built-in-with-a-model": wrong(**{f"{NODE}implementation": "SIMPLE_MODEL"}),
    "host-without-port": wrong(**{f"{NODE}modelUri": ..., f"{NODE}endpoint": {"service_host": "far.other.svc"}}),
    "timeout-of-a-model": wrong(**{f"{NODE}timeoutSeconds": 2.5}),
    "model-name-without-v2": wrong(**{f"{NODE}modelUri": ..., f"{NODE}endpoint": FAR, f"{NODE}modelName": "digits"}),
    "router-with-v2": wrong(**{
        f"{NODE}modelUri": ..., f"{NODE}endpoint": FAR, f"{NODE}protocol": "v2", f"{NODE}type": "ROUTER",
        f"{NODE}children": [{"name": "a", "modelUri": "s3://models/a/1"}],
    }),
    "batching-without-a-model": wrong(
        spec__predictors__0__graph={"name": "m", "implementation": "SIMPLE_MODEL"},
        spec__predictors__0__batching={"maxBatchSize": 8, "maxDelayMilliseconds": 2},
    ),
    "port-of-the-graph-server": wrong(**{f"{NODE}modelUri": ..., f"{NODE}endpoint": {"service_port": 8081},
                                         "spec__predictors__0__componentSpecs": [NODE_CONTAINER]}),
    "model-with-two-children": wrong(
        spec__predictors__0__graph__children=[
            {"name": "a", "modelUri": "s3://models/a/1"}, {"name": "b", "modelUri": "s3://models/b/1"}
        ]
    ),
    "container-without-node": wrong(
        spec__predictors__0__componentSpecs=[{"spec": {"containers": [{"name": "unused"}]}}]
    ),
}  # fmt: skip

ROLLOUTS = {name: Case(state.reason, state.deployment, state.observed, state.now) for name, state in STATES.items()}
SPLITS = {name: Case(state.reason, state.deployment, state.observed, state.now) for name, state in SPLIT_STATES.items()}
SELDON = {
    name: Case(state.reason, state.deployment, state.observed, state.now) for name, state in SELDON_STATES.items()
}
EXPOSED = {
    name: Case(state.reason, state.deployment, replace(state.observed or SERVING, routes=state.routes, **state.changes),
               settings=state.settings)
    for name, state in EXPOSED_STATES.items()
}  # fmt: skip
RUNS = {
    name: Case(state.reason, state.deployment, state.observed, state.now) for name, state in RETRAINING_STATES.items()
}
CASES = PLAIN | ROLLOUTS | SPLITS | SELDON | EXPOSED | RUNS


def plan(case: Case) -> Plan:
    return plan_model_deployment(case.deployment, case.observed, case.settings, case.now, KEY)


@pytest.mark.parametrize("name", CASES)
def test_plan_matches_the_golden_file(name: str, request: pytest.FixtureRequest) -> None:
    file = Path(__file__).parent / "model_deployment" / f"{name}.yaml"
    check_golden(plan(CASES[name]), file, request.config.getoption("--update-golden"))


def test_every_decision_has_a_case() -> None:
    for decide in (
        plan_model_deployment, _plan_serving, plan_revisions, _act, explain, plan_predictors, _act_split,
        explain_predictors, plan_seldon, _plan_seldon_serving, explain_seldon, _check_seen, _check_state, check_access,
        _check_node, _check_pod, with_exposure, _plan_routes, _plan_removal, _build_exposure_events, check_route_access,
        check_hosts, check_annotations, _check_taken, explain_routes, build_urls, _explain_route, _explain_parent,
        _read_reports, advance_run, _settle, _may_begin, _go_on, _follow_job, _follow_conversion, _judge_rollout,
        _read_conversion, _find_checkpoints, with_retraining, _build_missing, explain_retraining, _describe,
        build_run_events, find_retrained_model, find_target, with_retrained_model,
    ):  # fmt: skip
        with recorded_lines(decide) as lines:
            for case in CASES.values():
                plan(case)
        assert return_lines(decide) <= lines


def test_every_golden_file_has_a_case() -> None:
    files = {file.stem for file in (Path(__file__).parent / "model_deployment").glob("*.yaml")}
    assert files == CASES.keys()
