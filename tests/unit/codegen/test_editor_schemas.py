"""The schemas for editors: every example is valid by them, and a mistake in a field's name is marked."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml
from fairlead.codegen.crds import RESOURCES, build_crd
from fairlead.codegen.editor_schemas import build_editor_schema
from fairlead_cluster.base.home import CHECKOUT

SCHEMAS = {resource.kind.kind: build_editor_schema(build_crd(resource)) for resource in RESOURCES}


def read_examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the resources of examples/, by their files."""
    for path in sorted((CHECKOUT / "examples").rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if isinstance(document, dict) and document.get("apiVersion") == "fairlead.dev/v1alpha1":
                yield str(path.relative_to(CHECKOUT)), document


EXAMPLES = list(read_examples())


def find_errors(document: dict[str, Any]) -> list[str]:
    validator = jsonschema.Draft202012Validator(SCHEMAS[document["kind"]])
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


@pytest.mark.parametrize(("path", "document"), EXAMPLES, ids=[f"{path}-{doc['kind']}" for path, doc in EXAMPLES])
def test_every_example_is_valid(path: str, document: dict[str, Any]) -> None:
    assert find_errors(document) == []


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_schema_is_one_and_is_the_file_that_editors_read(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[kind])
    assert json.loads((CHECKOUT / "manifests" / "schemas" / f"{kind.lower()}.json").read_text()) == SCHEMAS[kind]


def test_a_misspelled_field_and_a_wrong_value_are_marked() -> None:
    document = next(each for path, each in EXAMPLES if each["kind"] == "TrainingJob" and "digits" in path)
    wrong = {**document, "spec": {**document["spec"], "laucher": "Horovod"}}
    assert find_errors(wrong) == ["$.spec: Additional properties are not allowed ('laucher' was unexpected)"]
    wrong = {**document, "spec": {**document["spec"], "launcher": "MPI"}}
    assert find_errors(wrong) == ["$.spec.launcher: 'MPI' is not one of ['Horovod', 'Torchrun']"]


def test_what_the_api_server_keeps_may_have_any_fields() -> None:
    document = next(each for path, each in EXAMPLES if each["kind"] == "TrainingJob" and "digits" in path)
    template = {"spec": {"containers": [{"name": "trainer", "image": "a", "fieldOfALaterKubernetes": 1}]}}
    workers = {**document["spec"]["workers"], "template": template}
    assert find_errors({**document, "spec": {**document["spec"], "workers": workers}}) == []
