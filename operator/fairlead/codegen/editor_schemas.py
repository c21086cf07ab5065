"""JSON schemas of the resources for editors, made of the CRDs' schemas: they complete fields and mark mistakes.

Editors have no rules in CEL; those are checked when a resource is applied. The status is left out: nobody writes it.
"""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_GO_ONLY = ("\\p{", "\\x{")
"""What Go's regular expressions have and editors' do not; such a pattern is left out."""
_BOUNDS = (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum"))
_OPEN = "x-kubernetes-preserve-unknown-fields"
_INT_OR_STRING = "x-kubernetes-int-or-string"


def build_editor_schema(crd: Mapping[str, Any]) -> Schema:
    """Return the JSON schema of a CRD's newest version."""
    names, version = crd["spec"]["names"], crd["spec"]["versions"][-1]
    whole = version["schema"]["openAPIV3Schema"]
    return {
        "$schema": _DRAFT,
        "title": names["kind"],
        "description": whole.get("description", ""),
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": f"{crd['spec']['group']}/{version['name']}"},
            "kind": {"const": names["kind"]},
            "metadata": {"type": "object"},
            "spec": _convert(whole["properties"]["spec"]),
        },
    }


def _convert(schema: Mapping[str, Any]) -> Schema:
    """Return a schema of the CRD as JSON schema: what is not named is a mistake, unless the API server keeps it."""
    found = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    if any(each in found.get("pattern", "") for each in _GO_ONLY):
        del found["pattern"]
    for bound, exclusive in _BOUNDS:
        if found.pop(exclusive, False):  # in OpenAPI 3.0 a word about the bound, in JSON schema the bound itself
            found[exclusive] = found.pop(bound)
    if schema.get(_INT_OR_STRING):
        return {**found, "type": ["integer", "string"]}
    if found.pop("nullable", False) and "type" in found:
        found["type"] = [found["type"], "null"]
        if "enum" in found:
            found["enum"] = [*found["enum"], None]
    if "properties" in found:
        found["properties"] = {name: _convert(each) for name, each in found["properties"].items()}
        found["additionalProperties"] = bool(schema.get(_OPEN))
    elif isinstance(found.get("additionalProperties"), Mapping):
        found["additionalProperties"] = _convert(found["additionalProperties"])
    if "items" in found:
        found["items"] = _convert(found["items"])
    for key in ("allOf", "anyOf", "oneOf"):
        if key in found:
            found[key] = [_convert_part(each) for each in found[key]]
    return found


def _convert_part(schema: Mapping[str, Any]) -> Schema:
    """Return a part of a combination, which names only some of the properties."""
    converted = _convert(schema)
    converted.pop("additionalProperties", None)
    return converted
