"""The definitions: what is rejected, and that the example's are accepted."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairlead_feature_store.definitions import read_definitions
from fairlead_feature_store.errors import Unusable

from .conftest import DEFINITIONS

EXAMPLE = Path(__file__).parents[3] / "examples" / "flights" / "features.yaml"


def test_the_examples_definitions_are_accepted() -> None:
    definitions = read_definitions(EXAMPLE)
    columns = [column for each in definitions.select("delays") for column, _, _ in each.columns()]
    assert columns[:2] == ["weather__temp", "weather__dewp"]
    assert len(columns) == 12
    assert definitions.keys(definitions.select("delays")) == {"origin": "BYTES", "carrier": "BYTES", "flight": "INT64"}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("views", "weather", "entities"), ["airport"], "views.weather.entities[0]: got 'airport', expected one of"),
        (("views", "weather", "entities"), ["origin", "origin"], "views.weather.entities: got"),
        (("views", "weather", "ttlSeconds"), 0, "views.weather.ttlSeconds: got 0, expected at least 1"),
        (("views", "weather", "features"), {}, "views.weather.features: got {}, expected at least 1 items"),
        (("views", "weather", "features", "temp"), {"type": "FP16"}, "views.weather.features.temp.type: got 'FP16'"),
        (("views", "weather", "features", "temp"), {"type": "FP32", "default": "warm"}, "temp.default: got 'warm'"),
        (("views", "weather", "features", "temp"), {"type": "FP32", "default": True}, "temp.default: got True"),
        (("views", "weather", "features", "temp"), {"type": "INT32", "default": 1 << 40}, "temp.default: got"),
        (("views", "weather", "features", "temp"), {"type": "FP32", "default": 1e300}, "temp.default: got"),
        (("views", "weather", "features", "temp"), {"type": "FP32", "default": (1 << 24) + 1}, "temp.default: got"),
        (("views", "weather", "features", "temp"), {"type": "FP64", "default": 10**400}, "temp.default: got"),
        (
            ("views", "weather", "features", "origin"),
            {"type": "BYTES"},
            "views.weather.features: got 'origin', expected",
        ),
        (("views", "weather", "source", "file"), "../../etc/passwd", "views.weather.source.file: got"),
        (("views", "weather", "source", "file"), "/etc/passwd", "views.weather.source.file: got"),
        (("views", "a__b"), DEFINITIONS["views"]["plan"], "a__b"),
        (("entities", "origin"), "FP32", "entities.origin: got 'FP32'"),
        (("project",), "hand_made", "project: got 'hand_made'"),
        (("project",), "p" * 41, "project: got"),
        (("views", "v" * 56), DEFINITIONS["views"]["plan"], "expected a name of at most 55 characters in the project"),
        (("sets", "air"), ["wind"], "sets.air[0]: got 'wind', expected a view of weather, plan"),
        (("sets", "air"), ["weather:dew"], "sets.air[0]: got 'weather:dew', expected a feature of temp"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, path: tuple[str, ...], value: Any, message: str) -> None:
    document = copy.deepcopy(DEFINITIONS)
    at = document
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    file = tmp_path / "features.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    with pytest.raises(Unusable) as error:
        read_definitions(file)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "a: &a [*a]", "[" * 5000, "!!python/object/apply:os.system [id]", "\xff", "project: [x"],
)
def test_what_is_no_definition_is_rejected(tmp_path: Path, text: str) -> None:
    file = tmp_path / "features.yaml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(Unusable, match=r"features\.yaml"):
        read_definitions(file)
