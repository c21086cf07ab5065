"""Objects as text for server-side apply."""

import json

import pytest
import yaml
from fairlead.api.wire import escape_for_yaml

STRANGE = ["\x00", "\x1b", "\x7f", "\x80", "\x85", "\x9b", "\u2028", "\u2029", "\ufeff", "\ufffe", "\uffff", "█", "😀"]


@pytest.mark.parametrize("character", STRANGE, ids=lambda character: f"U+{ord(character):04X}")
def test_a_text_is_the_same_in_json_and_in_yaml(character: str) -> None:
    value = {"message": f"before {character} after"}
    text = escape_for_yaml(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert yaml.safe_load(text) == value
