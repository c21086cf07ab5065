"""Base classes of the resource models: camelCase names, object metadata, conditions, CEL rules."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

DNS_LABEL = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
ARTIFACT_URI = r"^(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._@=+-]+)+|file://(/[A-Za-z0-9._@=+-]+)+)$"
"""An artifact's URI: s3://bucket/path or file:///path, without empty segments."""
DIGEST = r"^sha256:[0-9a-f]{64}$"


@dataclass(frozen=True)
class Rule:
    """A validation rule: a CEL expression for the API server and an equivalent Python check for model validation."""

    rule: str
    message: str
    holds: Callable[[Any], bool] | None = None
    """The Python check, called with the model; None for rules on changes, which only the API server can evaluate."""
    message_expression: str | None = None
    """A CEL expression that returns a message containing the rejected value."""
    field: str | None = None
    """The path of the rejected field, relative to the object that has the rule."""


class ApiModel(BaseModel):
    """A part of a resource. The docstring under each field becomes its description in the CRD."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="forbid",
        frozen=True,
    )
    cel: ClassVar[tuple[Rule, ...]] = ()
    """The validation rules of this object."""

    @classmethod
    def aliases(cls) -> tuple[str, ...]:
        """Return the names of the fields, as the API server knows them."""
        return tuple(field.alias or name for name, field in cls.model_fields.items())

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        for rule in rules_of(type(self)):
            if rule.holds and not rule.holds(self):
                raise ValueError(rule.message)
        return self


def rules_of(model: type[Any]) -> tuple[Rule, ...]:
    """Return the validation rules of a model and its bases."""
    rules = {rule.rule: rule for cls in reversed(model.__mro__) for rule in cls.__dict__.get("cel", ())}
    return tuple(rules.values())


class OpenModel(ApiModel):
    """A part of another API. Only the fields that we read or check are declared; all others are preserved."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})

    def to_dict(self) -> dict[str, Any]:
        """Return the object as the user wrote it, without nulls, which in Kubernetes mean that a field is unset."""
        return dict(_without_nulls(self.model_dump(by_alias=True, exclude_unset=True)))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


class StatusModel(ApiModel):
    """A part of a status. Unknown fields are ignored, so that a status written by a newer version can be read."""

    model_config = ConfigDict(extra="ignore")


class ObjectMeta(OpenModel):
    """The metadata fields that planners depend on."""

    name: str
    namespace: str = "default"
    uid: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None


class Resource(ApiModel):
    """A custom resource. Its name must be short enough to derive its children's names from."""

    max_name: ClassVar[int]
    """The maximum length of the name, in characters."""

    api_version: str
    kind: str
    metadata: ObjectMeta
    status: StatusModel

    @field_validator("metadata")
    @classmethod
    def _check_name(cls, metadata: ObjectMeta) -> ObjectMeta:
        if len(metadata.name) > cls.max_name or not re.match(DNS_LABEL, metadata.name):
            raise ValueError(
                f"metadata.name: got {metadata.name!r}, expected at most {cls.max_name} lower-case letters, digits"
                " and '-', starting with a letter"
            )
        return metadata


class Condition(StatusModel):
    """A condition of the resource, following the Kubernetes conventions."""

    type: str = Field(max_length=64)
    """The type of the condition."""
    status: Literal["True", "False", "Unknown"]
    """Whether the condition is true."""
    reason: str = Field(max_length=128)
    """The reason for the status, as one CamelCase word."""
    message: str = Field(max_length=4096)
    """A human-readable explanation."""
    last_transition_time: str = Field(json_schema_extra={"format": "date-time"})
    """When the status of the condition last changed."""
    observed_generation: int = 0
    """The generation of the spec that the condition was observed for."""


Conditions = tuple[Condition, ...]
LIST_MAP_BY_TYPE: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
ATOMIC_MAP: dict[str, Any] = {"x-kubernetes-map-type": "atomic"}
"""A map that is applied as a whole: one whose last key an apply removes would become null, which is invalid."""
LIST_MAP_BY_NAME: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}


class ArtifactRef(StatusModel):
    """A reference to an artifact, by URI and digest."""

    name: str
    """Its role: dataset, validation, model, or a graph node's name."""
    uri: str
    """The URI it was read from or written to."""
    digest: str
    """The SHA-256 digest of its manifest."""
