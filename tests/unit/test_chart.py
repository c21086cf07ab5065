"""The chart's schema knows every value that values.yaml has: Helm rejects the chart otherwise."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

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
