"""The contract with Seldon Core v1: its own CRD, on a real API server, accepts the SeldonDeployment of every graph."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairlead.core.model_deployment.seldon_build import KIND, build_seldon_children
from fairlead.core.model_deployment.seldon_checks import check_seldon
from fairlead.core.settings import Settings

from tests.support.api_server import Kubectl, await_crds
from tests.support.resources import DIGEST
from tests.support.seldon import add_defaults, find_problems
from tests.support.seldon_crd import read_crd, shorten_crd
from tests.support.seldon_shapes import SPECS, URI, make_seldon

Object = dict[str, Any]


@pytest.fixture(scope="module")
def seldon(kubectl: Kubectl) -> Iterator[Kubectl]:
    """Install Seldon's CRD in the tests' API server."""
    crd = read_crd()
    kubectl("create", "-f", "-", stdin=json.dumps(crd))
    await_crds(kubectl)
    yield kubectl
    kubectl("delete", "customresourcedefinition", crd["metadata"]["name"])


def build(spec: Object) -> Object:
    deployment = make_seldon(spec)
    assert check_seldon(deployment) is None
    return next(
        child for child in build_seldon_children(deployment, {URI: DIGEST}, Settings()) if child["kind"] == KIND
    )


def create(kubectl: Kubectl, obj: Object, check: bool = True) -> str:
    """Create an object, but only for the answer: unknown fields are errors."""
    arguments = ("create", "--dry-run=server", "--validate=strict", "-o", "yaml", "-f", "-")
    return kubectl(*arguments, stdin=json.dumps(obj), check=check)


@pytest.mark.parametrize("shape", SPECS)
def test_seldons_crd_accepts(seldon: Kubectl, shape: str) -> None:
    resource = build(SPECS[shape])
    assert_kept(yaml.safe_load(create(seldon, resource))["spec"], resource["spec"])
    defaulted = add_defaults(resource)
    assert find_problems(defaulted) == []
    assert_kept(yaml.safe_load(create(seldon, defaulted))["spec"], defaulted["spec"])


def assert_kept(accepted: Any, sent: Any, path: str = "spec") -> None:
    """Assert that nothing of what was sent is pruned; the CRD has defaults, such as the protocol of a port."""
    if isinstance(sent, dict):
        for key, value in sent.items():
            assert key in accepted, f"{path}.{key} is pruned"
            assert_kept(accepted[key], value, f"{path}.{key}")
    elif isinstance(sent, list):
        assert len(accepted) == len(sent), path
        for at, (one, other) in enumerate(zip(accepted, sent, strict=True)):
            assert_kept(one, other, f"{path}[{at}]")
    else:
        assert accepted == sent, path


@pytest.mark.parametrize("shape", SPECS)
def test_the_webhook_changes_no_port_of_ours(shape: str) -> None:
    for predictor in add_defaults(build(SPECS[shape]))["spec"]["predictors"]:
        used: list[int] = []
        for container in predictor["componentSpecs"][0]["spec"]["containers"]:
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            used += ports.values()
            if "--port" in container.get("command", []):
                assert container["command"][-1] == str(ports["http"])
                assert {"name": "FAIRLEAD_GRPC_PORT", "value": str(ports["grpc"])} in container["env"]
        assert len(used) == len(set(used)), "the containers of a pod share its ports"
        assert not {8000, 5001} & set(used), "Seldon's executor has these"


def test_an_unknown_field_would_be_noticed(seldon: Kubectl) -> None:
    resource = build(SPECS["a model"])
    resource["spec"]["predictors"][0]["shadows"] = True
    assert 'unknown field "spec.predictors[0].shadows"' in create(seldon, resource, check=False)


def test_the_shortened_crd_is_that_of_the_release() -> None:
    original = os.environ.get("FAIRLEAD_SELDON_CRD")
    if not original:
        pytest.skip("FAIRLEAD_SELDON_CRD does not name the CRD of Seldon Core 1.17.1, of which ours is a short form")
    assert shorten_crd(Path(original).read_bytes()) == read_crd()
