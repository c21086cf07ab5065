"""The chart's values: its schema knows each of them, and those of settings are the operator's own defaults."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
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
