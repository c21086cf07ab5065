"""Conversion of a pydantic model to the structural OpenAPI schema of a CRD."""

from typing import Any

from fairlead_contracts.graph import MAX_DEPTH
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from fairlead.api.base import DNS_LABEL, ApiModel, Resource, rules_of
from fairlead.codegen.descriptions import add_descriptions

Schema = dict[str, Any]

_DROPPED = ("title", "additionalProperties")
_FORMATS = ("integer", "number")
_EXCLUSIVE = (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum"))
_INT32 = 2**31 - 1


def build_schema(model: type[Resource]) -> Schema:
    """Return the schema of a resource, without references and titles, with rules as x-kubernetes-validations."""
    _, document = models_json_schema([(model, "validation")], by_alias=True, ref_template="{model}")
    definitions = document["$defs"]
    models = _all_models(model)
    add_descriptions(definitions, [*models, model])
    rules = {cls.__name__: _validations(cls) for cls in models}
    schema = _inline(definitions[model.__name__], definitions, rules, ())
    metadata = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": model.max_name, "pattern": DNS_LABEL}},
    }
    schema["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": metadata}
    schema["required"] = ["spec"]
    schema["properties"]["status"] = _without_defaults(schema["properties"]["status"])
    return schema


def _inline(node: Schema, definitions: Schema, rules: dict[str, list[Schema]], path: tuple[str, ...]) -> Schema:
    """Resolve a node of pydantic's schema and its descendants; `path` contains the models above it."""
    if isinstance(default := node.get("default"), dict):
        node = node | {"default": {key: value for key, value in default.items() if value is not None}}
    if "anyOf" in node:
        # Optional[X]: in Kubernetes an absent field stands for None
        (only,) = [option for option in node["anyOf"] if option.get("type") != "null"]
        node = {key: value for key, value in node.items() if key not in ("anyOf", "default")} | only
    if "$ref" in node:
        name = node["$ref"]
        more = {key: value for key, value in node.items() if key != "$ref"}
        if path.count(name) >= MAX_DEPTH:
            raise RecursionError(name)
        return _inline(definitions[name], definitions, rules, (*path, name)) | more
    result = {key: value for key, value in node.items() if key not in (*_DROPPED, "properties", "items", "const")}
    if "const" in node:
        result |= {"type": "string", "enum": [node["const"]]}
    if isinstance(extra := node.get("additionalProperties"), dict):
        result["additionalProperties"] = _inline(extra, definitions, rules, path)
    if "properties" in node:
        result["properties"] = {
            name: _inline_or_stop(value, definitions, rules, path) for name, value in node["properties"].items()
        }
    if "items" in node:
        # a default inside a list looks like drift to GitOps tools
        result["items"] = _without_defaults(_inline(node["items"], definitions, rules, path))
        result.setdefault("x-kubernetes-list-type", "atomic")
    for exclusive, limit in _EXCLUSIVE:
        if exclusive in result:
            # OpenAPI 3.0, unlike pydantic, says by a boolean whether a limit is excluded
            result |= {limit: result[exclusive], exclusive: True}
    if node.get("type") in _FORMATS:
        result.setdefault("format", _find_format(node))
    # a field may have the title of a model, such as one named `predictor`
    if "properties" in node and rules.get(node.get("title", "")):
        result["x-kubernetes-validations"] = rules[node["title"]]
    return result


def _find_format(node: Schema) -> str:
    """Return the format of a number, without which clients in other languages guess its type."""
    if node["type"] == "number":
        return "double"
    return "int32" if node.get("maximum", _INT32 + 1) <= _INT32 else "int64"


def _inline_or_stop(node: Schema, definitions: Schema, rules: dict[str, list[Schema]], path: tuple[str, ...]) -> Schema:
    """Resolve a property; at the maximum depth of a recursive model, allow no children."""
    try:
        return _inline(node, definitions, rules, path)
    except RecursionError:
        return {
            "type": "array",
            "maxItems": 0,
            "items": {"type": "object"},
            "x-kubernetes-list-type": "atomic",
            "description": f"A graph is at most {MAX_DEPTH} nodes deep.",
        }


def _without_defaults(node: Any) -> Any:
    """Remove the defaults, such as those of a status: unobserved fields are absent."""
    if isinstance(node, dict):
        return {key: _without_defaults(value) for key, value in node.items() if key != "default"}
    return [_without_defaults(item) for item in node] if isinstance(node, list) else node


def _validations(model: type[BaseModel]) -> list[Schema]:
    """Return the rules of a model and its bases in the format of a CRD."""
    return [
        {
            key: value
            for key, value in (
                ("rule", rule.rule),
                ("message", rule.message),
                ("messageExpression", rule.message_expression),
                ("fieldPath", rule.field),
            )
            if value
        }
        for rule in rules_of(model)
    ]


def _all_models(model: type[ApiModel]) -> list[type[BaseModel]]:
    """Return all models of the API. Rules are looked up by the title of a definition."""
    found: list[type[BaseModel]] = []
    pending: list[type[BaseModel]] = [ApiModel]
    while pending:
        cls = pending.pop()
        found.append(cls)
        pending.extend(cls.__subclasses__())
    return [cls for cls in found if cls is not model or cls.__dict__.get("cel")]
