"""Descriptions of the API's fields, from the docstrings under them.

pydantic can read them (`use_attribute_docstrings`), but then every start of the operator and the CLI parses the API's
sources: a third of a second for what only code generation needs.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel


def add_descriptions(definitions: dict[str, Any], models: Iterable[type[BaseModel]]) -> None:
    """Describe the properties of pydantic's definitions, which have their models' names; nothing is overwritten."""
    for model in models:
        properties = definitions.get(model.__name__, {}).get("properties", {})
        for name, text in _inherited_docstrings(model).items():
            field = model.model_fields.get(name)
            key = (field.alias if field else None) or name
            if key in properties and "description" not in properties[key]:
                # in the order of pydantic's own keys, which are sorted
                properties[key] = dict(sorted((properties[key] | {"description": text}).items()))


def _inherited_docstrings(model: type[BaseModel]) -> dict[str, str]:
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            found |= _read_docstrings(base)
    return found


@cache
def _read_docstrings(model: type) -> dict[str, str]:
    """Return the docstrings under the annotated attributes of a class, by the attributes' names."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)
    return {
        attribute.target.id: inspect.cleandoc(text.value.value)
        for attribute, text in pairwise(definition.body)
        if isinstance(attribute, ast.AnnAssign)
        and isinstance(attribute.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
