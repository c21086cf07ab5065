"""The step `deploy`: apply a ModelDeployment of a scaler and a classifier, and wait until it is ready."""

from dataclasses import dataclass

from fairlead.api.group import API_VERSION
from fairlead.client import FairleadClient, Object

_KIND = "ModelDeployment"
_DRIFT = {"windowSeconds": 3600, "minRows": 200, "maxPsi": 0.25}


@dataclass(frozen=True)
class Model:
    """An ONNX model and its required digest."""

    uri: str
    digest: str


@dataclass(frozen=True)
class Deployment:
    """A graph of two models to serve."""

    name: str
    scaler: Model
    classifier: Model
    replicas: int
    store_secret: str
    """A Secret with the object store's variables."""
    seconds: int


def deploy(client: FairleadClient, deployment: Deployment) -> Object:
    """Apply the ModelDeployment and return its URL once it is ready; raise FairleadError."""
    client.apply(build_model_deployment(deployment), force=False)
    ready = client.wait(_KIND, deployment.name, "Ready", seconds=deployment.seconds)
    return {"url": ready["status"]["url"]}


def build_model_deployment(deployment: Deployment) -> Object:
    """Build a graph of two nodes in one process: the scaler, followed by the classifier."""
    classifier = _build_node("classifier", "MODEL", deployment.classifier, deployment.store_secret)
    scaler = _build_node("scaler", "TRANSFORMER", deployment.scaler, deployment.store_secret)
    graph = scaler | {"children": [classifier]}
    predictor = {"name": "main", "replicas": deployment.replicas, "traffic": 100, "graph": graph}
    return {
        "apiVersion": API_VERSION,
        "kind": _KIND,
        "metadata": {"name": deployment.name},
        "spec": {"requireProvenance": {}, "monitor": {"drift": _DRIFT}, "predictors": [predictor]},
    }


def _build_node(name: str, type_: str, model: Model, secret: str) -> Object:
    return {"name": name, "type": type_, "modelUri": model.uri, "digest": model.digest, "envSecretRefName": secret}
