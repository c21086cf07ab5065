"""API keys in the pods of every kind of deployment: files of the graph server, by reference alone."""

import json
from typing import Any

import pytest
from fairlead.api.model_deployment import ModelDeployment
from fairlead.core.model_deployment.build import build_children
from fairlead.core.model_deployment.checks import check_graphs
from fairlead.core.model_deployment.predictor_children import build_predictor_children
from fairlead.core.model_deployment.revision_children import build_revision_children
from fairlead.core.model_deployment.revisions import Revision
from fairlead.core.settings import Settings

from tests.support.resources import DIGEST, make_deployment

SETTINGS, DIGESTS = Settings(), {"scaler": DIGEST, "classifier": DIGEST}
SERVER = {"auth": {"apiKeySecret": {"name": "shop"}}}


@pytest.fixture
def deployment() -> ModelDeployment:
    """Return a deployment that asks for keys."""
    return make_deployment(spec__predictors__0__server=SERVER)


def pods(children: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the pods of the Deployments among some children."""
    return [child["spec"]["template"]["spec"] for child in children if child["kind"] == "Deployment"]


def build(kind: str, deployment: ModelDeployment) -> list[dict[str, Any]]:
    """Return the children of a deployment, of one of its revisions or of one of several predictors."""
    (predictor,) = deployment.spec.predictors
    if kind == "revision":
        revision = Revision("r1", predictor, DIGESTS, "image")
        return build_revision_children(deployment, revision, 1, SETTINGS)
    if kind == "predictor":
        return build_predictor_children(deployment, predictor, DIGESTS, SETTINGS)
    return build_children(deployment, DIGESTS, SETTINGS)


@pytest.mark.parametrize("kind", ["plain", "revision", "predictor"])
def test_every_graph_server_reads_the_secret_from_a_folder(kind: str, deployment: ModelDeployment) -> None:
    (pod,) = pods(build(kind, deployment))
    server = pod["containers"][0]
    assert {"name": "FAIRLEAD_API_KEYS_FILE", "value": "/etc/fairlead/api-keys"} in server["env"]
    (mount,) = [mount for mount in server["volumeMounts"] if mount["mountPath"] == "/etc/fairlead/api-keys"]
    assert mount == {"name": "fairlead-api-keys", "mountPath": "/etc/fairlead/api-keys", "readOnly": True}
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == mount["name"]]
    assert volume == {"name": "fairlead-api-keys", "secret": {"secretName": "shop"}}


@pytest.mark.parametrize("kind", ["plain", "revision", "predictor"])
def test_the_secret_is_neither_written_nor_a_variable(kind: str, deployment: ModelDeployment) -> None:
    children = build(kind, deployment)
    assert "Secret" not in {child["kind"] for child in children}
    for pod in pods(children):
        variables = json.dumps([[item.get("env"), item.get("envFrom")] for item in pod["containers"]])
        assert "shop" not in variables
        assert "secretKeyRef" not in variables


def test_without_auth_nothing_is_mounted() -> None:
    (pod,) = pods(build_children(make_deployment(), DIGESTS, SETTINGS))
    assert "api-keys" not in json.dumps(pod)


def test_the_variable_cannot_be_set_beside_it() -> None:
    server = {"env": [{"name": "FAIRLEAD_API_KEYS_FILE", "value": "/tmp/keys"}]}
    finding = check_graphs(make_deployment(spec__predictors__0__server=server))
    assert finding is not None
    assert "got FAIRLEAD_API_KEYS_FILE" in finding.message
