"""Graphs of each shape that a ModelDeployment with `engine: Seldon` may have."""

from typing import Any

from fairlead.api.model_deployment import ModelDeployment

from tests.support.resources import DIGEST, MODEL_DEPLOYMENT, NODE_CONTAINER, Object, change, make_deployment

URI = "s3://models/digits/v1"
LEAF: Object = {"name": "leaf", "modelUri": URI}
OTHER: Object = {"name": "other", "modelUri": URI}
CONTAINER: Object = {"name": "classifier", "parameters": [{"name": "factor", "value": "2", "type": "INT"}]}
RATIO = [{"name": "ratioA", "value": "0.2", "type": "FLOAT"}]
GRAPHS: dict[str, Object] = {
    "a model": LEAF,
    "a model with the store's credentials and a digest": {**LEAF, "envSecretRefName": "store", "digest": DIGEST},
    "a built-in model": {"name": "simple", "implementation": "SIMPLE_MODEL"},
    "a container with parameters": CONTAINER,
    "a container at a port of its own": {"name": "classifier", "endpoint": {"service_port": 5000, "type": "REST"}},
    "a transformer above a container": {
        "name": "scaler", "type": "TRANSFORMER", "modelUri": URI, "children": [CONTAINER],
    },
    "a container above a model": {**CONTAINER, "type": "TRANSFORMER", "children": [LEAF]},
    "an output transformer": {"name": "labels", "type": "OUTPUT_TRANSFORMER", "modelUri": URI, "children": [LEAF]},
    "a model above a model": {**LEAF, "children": [OTHER]},
    "a chain of transformers": {
        "name": "first", "type": "TRANSFORMER", "modelUri": URI,
        "children": [{"name": "second", "type": "TRANSFORMER", "modelUri": URI, "children": [LEAF]}],
    },
    "a random router": {
        "name": "split", "implementation": "RANDOM_ABTEST", "parameters": RATIO, "children": [LEAF, OTHER],
    },
    "a simple router": {"name": "first", "implementation": "SIMPLE_ROUTER", "children": [LEAF, CONTAINER]},
    "a router that learns": {"name": "bandit", "implementation": "EPSILON_GREEDY", "children": [LEAF, OTHER]},
    "a sampling router": {"name": "bandit", "implementation": "THOMPSON_SAMPLING", "children": [LEAF, OTHER]},
    "a router in a container": {**CONTAINER, "type": "ROUTER", "children": [LEAF, OTHER]},
    "a built-in combiner": {"name": "mean", "implementation": "AVERAGE_COMBINER", "children": [LEAF, OTHER]},
    "a combiner in a container": {**CONTAINER, "type": "COMBINER", "children": [LEAF, OTHER]},
    "a router below a combiner": {
        "name": "mean", "implementation": "AVERAGE_COMBINER",
        "children": [OTHER, {"name": "first", "implementation": "SIMPLE_ROUTER", "children": [LEAF]}],
    },
}  # fmt: skip
LIVE = [
    {"name": "main", "traffic": 90, "graph": LEAF},
    {"name": "canary", "traffic": 10, "replicas": 1, "graph": GRAPHS["a random router"]},
]
SHADOW = {"name": "dark", "shadow": {"percent": 20}, "graph": LEAF}
SERVER = {
    "resources": {"requests": {"cpu": "2"}},
    "env": [{"name": "FAIRLEAD_MAX_BODY_BYTES", "value": "33554432"}],
    "template": {
        "metadata": {"labels": {"team": "vision", "fairlead.dev/deployment": "x"}, "annotations": {"note": "a"}},
        "spec": {
            "nodeSelector": {"disk": "fast"}, "tolerations": [{"key": "serving", "operator": "Exists"}],
            "volumes": [{"name": "cache", "emptyDir": {}}], "imagePullSecrets": [{"name": "registry"}],
            "initContainers": [{"name": "warm", "image": "example/warm:1"}],
        },
    },
}  # fmt: skip
SPECS: dict[str, Object] = {
    **{name: {"predictors": [{"name": "main", "graph": graph}]} for name, graph in GRAPHS.items()},
    "two predictors": {"predictors": LIVE},
    "a shadow before the others": {"predictors": [SHADOW, *LIVE]},
    "a server with settings": {"predictors": [{"name": "main", "graph": LEAF, "server": SERVER}]},
    "batching": {"predictors": [
        {"name": "main", "graph": LEAF, "batching": {"maxBatchSize": 8, "maxDelayMilliseconds": 2.5}},
    ]},
    "no pods": {"replicas": 0, "predictors": [{"name": "main", "graph": LEAF}]},
    "scaling": {
        "replicas": 2, "predictors": [{"name": "main", "graph": LEAF}],
        "autoscaling": {"minReplicas": 2, "maxReplicas": 4, "targetUtilizationPercentage": 70},
        "disruptionBudget": {"maxUnavailable": 1},
    },
}  # fmt: skip


def build_resource(spec: Object, **changes: Any) -> Object:
    """Return a ModelDeployment with a spec; nodes named `classifier` have a container."""
    spec = {"engine": "Seldon", **spec, "predictors": [_with_container(each) for each in spec["predictors"]]}
    return change(MODEL_DEPLOYMENT, **{"spec": spec, **changes})


def make_seldon(spec: Object, status: Object | None = None) -> ModelDeployment:
    """Return it as the API server returns it."""
    return make_deployment(status, spec=build_resource(spec)["spec"])


def _with_container(predictor: Object) -> Object:
    return predictor | ({"componentSpecs": [NODE_CONTAINER]} if "'classifier'" in str(predictor["graph"]) else {})
