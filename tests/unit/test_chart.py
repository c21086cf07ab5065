"""The chart's values: its schema knows each of them, and those of settings are the operator's own defaults."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairlead.core.settings import Settings
from fairlead.handlers.settings import OperatorSettings
from pydantic.alias_generators import to_snake

CHART = Path(__file__).parents[2] / "charts" / "fairlead"


def find_unknown(values: dict[str, Any], schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the values that the schema does not allow."""
    known = schema.get("properties", {})
    for name, value in values.items():
        if name not in known:
            if schema.get("additionalProperties", True) is False:
                yield f"{path}{name}"
        elif isinstance(value, dict):
            yield from find_unknown(value, known[name], f"{path}{name}.")


def test_the_schema_knows_every_value() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert list(find_unknown(values, schema)) == []
    assert list(find_unknown({"settings": {"unknown": 1}}, schema)) == ["settings.unknown"]


def test_the_settings_of_the_chart_are_the_operators_defaults() -> None:
    settings = yaml.safe_load((CHART / "values.yaml").read_text())["settings"]
    fields = OperatorSettings.model_fields
    assert settings == {name: fields[to_snake(name)].default for name in settings}


def test_every_variable_of_the_chart_is_a_setting() -> None:
    variables = re.findall(r"name: FAIRLEAD_(\w+)", (CHART / "templates" / "deployment.yaml").read_text())
    assert {"ROUTE_HOSTS", "INGRESS_ANNOTATIONS", "ARTIFACT_PREFIXES"} <= set(variables)
    assert {name.lower() for name in variables} <= OperatorSettings.model_fields.keys()


@pytest.mark.parametrize(
    ("value", "item", "valid"),
    [
        ("routeHosts", "team-a=*.a.example.com", True), ("routeHosts", "*=*.{namespace}.example.com", True),
        ("routeHosts", "*=*", True), ("routeHosts", "digits.example.com", False),
        ("routeHosts", "team-a=a.example.com,team-b=b.example.com", False),
        ("ingressAnnotations", "cert-manager.io/cluster-issuer", True), ("ingressAnnotations", "a,b", False),
    ],
)  # fmt: skip
def test_an_item_of_a_list_is_one_item_of_the_setting(value: str, item: str, valid: bool) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"][value]
    assert (re.search(schema["items"]["pattern"], item) is not None) is valid
    if valid:
        assert Settings.model_validate({to_snake(value): item})
