"""Objects as text for server-side apply, which the API server parses as YAML."""

import re

_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""YAML rejects these characters, or takes them for the end of a line, where JSON has them as they are."""


def escape_for_yaml(json: str) -> str:
    """Return a JSON text that is the same in YAML.

    Characters beyond U+FFFF must be in it as they are: JSON escapes them in two halves, which YAML rejects.
    """
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", json)
