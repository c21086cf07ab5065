"""The step `deploy`: apply a ModelDeployment of a classifier and what is before it, and wait until it is ready."""

from dataclasses import dataclass

from fairlead.api.group import API_VERSION
from fairlead.client import FairleadClient, Object

_KIND = "ModelDeployment"
_FEATURES = "features"
FEATURES_IMAGE = "fairlead/feature-store:0.1.0"
_STORE_FOLDER = "/etc/fairlead/feature-store"
_DRIFT = {"windowSeconds": 3600, "minRows": 200, "maxPsi": 0.25}


@dataclass(frozen=True)
class Model:
    """An ONNX model and its required digest."""

    uri: str
    digest: str


@dataclass(frozen=True)
class Features:
    """A set of features that is looked up by the keys in a request."""

    definitions: Model
    set_: str
    store_secret: str
    """A Secret whose key feature_store.yaml says where the features are."""
    now: str
    """A time in the past, to replay a history; empty for the present."""
    image: str = FEATURES_IMAGE


@dataclass(frozen=True)
class Deployment:
    """A graph of two nodes to serve."""

    name: str
    before: Model | Features
    """A scaler, or the features that the classifier needs."""
    classifier: Model
    replicas: int
    store_secret: str
    """A Secret with the object store's variables; empty for none."""
    seconds: int


def deploy(client: FairleadClient, deployment: Deployment) -> Object:
    """Apply the ModelDeployment and return its URL once it is ready; raise FairleadError."""
    client.apply(build_model_deployment(deployment), force=False)
    ready = client.wait(_KIND, deployment.name, "Ready", seconds=deployment.seconds)
    return {"url": ready["status"]["url"]}


def build_model_deployment(deployment: Deployment) -> Object:
    """Build a graph of two nodes: the scaler in the same process, or the look-up in a container, and the classifier."""
    classifier = _build_node("classifier", "MODEL", deployment.classifier, deployment.store_secret)
    predictor: Object = {"name": "main", "replicas": deployment.replicas, "traffic": 100}
    if isinstance(deployment.before, Features):
        graph = {
            "name": _FEATURES, "type": "TRANSFORMER", "protocol": "v2", "modelName": deployment.before.set_,
            "endpoint": {"type": "REST"}, "children": [classifier],
        }  # fmt: skip
        predictor["componentSpecs"] = [{"spec": _build_look_up(deployment.before, deployment.store_secret)}]
    else:
        scaler = _build_node("scaler", "TRANSFORMER", deployment.before, deployment.store_secret)
        graph = scaler | {"children": [classifier]}
    predictor["graph"] = graph
    return {
        "apiVersion": API_VERSION,
        "kind": _KIND,
        "metadata": {"name": deployment.name},
        "spec": {"requireProvenance": {}, "monitor": {"drift": _DRIFT}, "predictors": [predictor]},
    }


def _build_look_up(features: Features, secret: str) -> Object:
    """Build the container that looks features up, whose name is its node's."""
    arguments = [
        "--definitions", features.definitions.uri, "--definitions-digest", features.definitions.digest,
        "--set", features.set_, "--store", f"{_STORE_FOLDER}/feature_store.yaml",
    ]  # fmt: skip
    container: Object = {
        "name": _FEATURES,
        "image": features.image,
        "command": ["fairlead-feature-store", "serve"],
        "args": [*arguments, "--now", features.now] if features.now else arguments,
        "volumeMounts": [{"name": "feature-store", "mountPath": _STORE_FOLDER, "readOnly": True}],
        "resources": {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}},
    }
    if secret:
        container["envFrom"] = [{"secretRef": {"name": secret, "optional": True}}]
    volume = {"name": "feature-store", "secret": {"secretName": features.store_secret}}
    return {"containers": [container], "volumes": [volume]}


def _build_node(name: str, type_: str, model: Model, secret: str) -> Object:
    node = {"name": name, "type": type_, "modelUri": model.uri, "digest": model.digest}
    return node | ({"envSecretRefName": secret} if secret else {})
