"""What holds for every field of the generated CRDs."""

from collections.abc import Iterator
from typing import Any

import pytest
from fairlead.codegen.crds import RESOURCES, Definition, build_crd
from fairlead.codegen.rbac import build_rules, build_user_roles

Schema = dict[str, Any]
EVERY_CRD = pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.kind.kind)


def walk(node: Schema, path: str = "", in_list: bool = False) -> Iterator[tuple[str, Schema, bool]]:
    """Yield (path, schema, whether it is inside a list) of a schema and all below it."""
    yield path, node, in_list
    for name, child in node.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}", in_list)
    for key, inside in (("items", True), ("additionalProperties", in_list)):
        if isinstance(node.get(key), dict):
            yield from walk(node[key], f"{path}[]", inside)


def version_of(resource: Definition) -> Schema:
    (version,) = build_crd(resource)["spec"]["versions"]
    return dict(version)


@EVERY_CRD
def test_every_list_has_a_type_and_every_number_a_format(resource: Definition) -> None:
    for path, schema, _ in walk(version_of(resource)["schema"]["openAPIV3Schema"]):
        if schema.get("type") == "array":
            assert schema.get("x-kubernetes-list-type") in ("atomic", "map", "set"), path
        if schema.get("type") in ("integer", "number"):
            assert schema.get("format") in ("int32", "int64", "double"), path


@EVERY_CRD
def test_no_default_inside_a_list_looks_like_drift(resource: Definition) -> None:
    schemas = walk(version_of(resource)["schema"]["openAPIV3Schema"])
    assert [path for path, schema, in_list in schemas if in_list and "default" in schema] == []


@EVERY_CRD
def test_rules_are_those_of_objects_and_not_of_fields_with_an_objects_name(resource: Definition) -> None:
    schemas = walk(version_of(resource)["schema"]["openAPIV3Schema"])
    assert [
        path for path, schema, _ in schemas if "x-kubernetes-validations" in schema and "properties" not in schema
    ] == []


@EVERY_CRD
def test_kubectl_shows_the_age_last_and_get_all_does_not_list_the_kind(resource: Definition) -> None:
    assert version_of(resource)["additionalPrinterColumns"][-1]["name"] == "Age"
    assert build_crd(resource)["spec"]["names"]["categories"] == ["fairlead"]


def test_deadlines_are_off_unless_they_are_set() -> None:
    schemas = {path: schema for path, schema, _ in walk(version_of(RESOURCES[0])["schema"]["openAPIV3Schema"])}
    policy = schemas[".spec.runPolicy"]
    assert [name for name in policy["default"] if "Deadline" in name] == []
    assert [name for name, field in policy["properties"].items() if "Deadline" in name and "default" in field] == []


def test_the_operator_may_neither_list_nor_delete_secrets() -> None:
    verbs = {verb for rule in build_rules() if "secrets" in rule["resources"] for verb in rule["verbs"]}
    assert verbs == {"create", "get"}


def test_users_who_view_may_not_edit() -> None:
    roles = {role["metadata"]["name"]: role for role in build_user_roles("x")}
    assert {verb for rule in roles["x-view"]["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    labels = {
        name: sorted(label.rpartition("-")[2] for label in role["metadata"]["labels"]) for name, role in roles.items()
    }
    assert labels == {"x-view": ["admin", "edit", "view"], "x-edit": ["admin", "edit"]}
