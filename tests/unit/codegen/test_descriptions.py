"""The docstrings under fields become the descriptions of the schema's properties."""

from fairlead.codegen.descriptions import add_descriptions
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Base(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    max_size: int
    """How large
    it may be."""
    limit: int = 0
    """Of the base."""


class Derived(Base):
    limit: int = 1
    """Of the derived one."""
    named: int = Field(0, description="Named here.")
    """Not read."""
    bare: int = 0


def test_docstrings_are_inherited_and_replaced_and_explicit_descriptions_stay() -> None:
    schema = Derived.model_json_schema()
    add_descriptions({"Derived": schema}, [Derived])
    found = {name: value.get("description") for name, value in schema["properties"].items()}
    assert found == {
        "maxSize": "How large\nit may be.",
        "limit": "Of the derived one.",
        "named": "Named here.",
        "bare": None,
    }
    assert list(schema["properties"]["limit"]) == ["default", "description", "title", "type"]
