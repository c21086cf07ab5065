"""Variables of a container."""

import base64
from typing import Any

import pytest
from fairlead_cluster.local.node.environment import NotConfigured, Sources, build_environment, expand, field_value

POD = {
    "metadata": {
        "name": "p",
        "namespace": "ns",
        "uid": "u-1",
        "labels": {"app.kubernetes.io/name": "x", "b": "2"},
        "annotations": {"note": 'say "hi"'},
    },
    "spec": {"nodeName": "local", "serviceAccountName": "default"},
    "status": {"podIP": "127.64.0.1"},
}
SOURCES = Sources(
    config_maps={"c": {"data": {"a": "1"}, "binaryData": {"b": base64.b64encode(b"2").decode()}}},
    secrets={"s": {"data": {"k": base64.b64encode(b"v").decode()}}},
)


@pytest.mark.parametrize(
    ("text", "expected", "reason"),
    [
        ("$(A)-$(B)", "1-2", "known names are replaced"),
        ("$(C)", "$(C)", "unknown references are kept"),
        ("$$(A)", "$(A)", "two dollars escape"),
        ("$$$(A)", "$1", "an escape may be followed by a reference"),
        ("$A ${A} $", "$A ${A} $", "the shell's forms are left to the shell"),
        ("$(A", "$(A", "an open parenthesis is not a reference"),
    ],
)
def test_references_are_expanded(text: str, expected: str, reason: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expected, reason


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "ns"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['app.kubernetes.io/name']", "x"),
        ("metadata.labels['missing']", ""),
        ("metadata.annotations", 'note="say \\"hi\\""'),
        ("metadata.labels", 'app.kubernetes.io/name="x"\nb="2"'),
        ("spec.nodeName", "local"),
        ("status.podIP", "127.64.0.1"),
    ],
)
def test_fields_of_the_pod_are_found(path: str, expected: str) -> None:
    assert field_value(POD, path) == expected


def test_a_field_that_is_not_offered_is_named() -> None:
    with pytest.raises(NotConfigured, match=r"fieldRef 'spec.priority': expected one of"):
        field_value(POD, "spec.priority")


def _build(**container: Any) -> dict[str, str]:
    return build_environment(POD, {"name": "main", **container}, SOURCES, {"BASE": "b"})


def test_later_variables_see_earlier_ones_and_win() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)$(LATER)"}, {"name": "BASE", "value": "c"}]
    assert _build(env=env) == {"A": "1", "B": "1$(LATER)", "BASE": "c"}


def test_whole_config_maps_and_secrets_come_with_their_prefix() -> None:
    items = [{"configMapRef": {"name": "c"}, "prefix": "X_"}, {"secretRef": {"name": "s"}}]
    assert _build(envFrom=items) == {"BASE": "b", "X_a": "1", "X_b": "2", "k": "v"}


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"configMapKeyRef": {"name": "no", "key": "a"}}, "configmap 'no' not found"),
        ({"configMapKeyRef": {"name": "c", "key": "z"}}, "couldn't find key z in configmap 'c'"),
        ({"secretKeyRef": {"name": "s", "key": "z"}}, "couldn't find key z in secret 's'"),
        ({"resourceFieldRef": {"resource": "limits.cpu"}}, "env V: got valueFrom.resourceFieldRef, expected"),
    ],
)
def test_missing_objects_are_named(item: dict[str, Any], message: str) -> None:
    with pytest.raises(NotConfigured, match=message):
        _build(env=[{"name": "V", "valueFrom": item}])


def test_optional_objects_may_be_missing() -> None:
    optional = {"name": "no", "key": "a", "optional": True}
    env = [{"name": "V", "valueFrom": {"secretKeyRef": optional}}]
    assert _build(env=env, envFrom=[{"secretRef": {"name": "no", "optional": True}}]) == {"BASE": "b"}
