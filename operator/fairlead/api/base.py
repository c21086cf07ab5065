"""What every resource's model shares: camelCase names, object metadata, conditions, CEL rules."""

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
    """One rule on an object: CEL for the API server, and its twin in Python for everybody who loads the model."""

    rule: str
    message: str
    holds: Callable[[Any], bool] | None = None
    """The twin: takes the model; None for a rule on a change, which only the API server can see."""
    message_expression: str | None = None
    """CEL that yields the message with the value that was refused."""
    field: str | None = None
    """Where the rejection points, as `.path` below the rule's object."""


class ApiModel(BaseModel):
    """A part of a resource; the docstring under each field becomes its description in the CRD."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
        extra="forbid",
        frozen=True,
    )
    cel: ClassVar[tuple[Rule, ...]] = ()
    """Rules that the API server checks on this object."""

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        for rule in self.cel:
            if rule.holds and not rule.holds(self):
                raise ValueError(rule.message)
        return self


class OpenModel(ApiModel):
    """A part of somebody else's API: the fields that we check or read are named, the others are kept as they are."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})

    def to_dict(self) -> dict[str, Any]:
        """Return it as the user wrote it."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class StatusModel(ApiModel):
    """A part of a status. Fields of a newer version are ignored, so that a downgrade can read it."""

    model_config = ConfigDict(extra="ignore")


class ObjectMeta(OpenModel):
    """The metadata fields that decisions depend on."""

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None


class Resource(ApiModel):
    """A custom resource; its name must fit the names of its children."""

    max_name: ClassVar[int]
    """The longest name, in characters."""

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
                " and '-', a letter first, so that its children's names fit"
            )
        return metadata


class Condition(StatusModel):
    """One observation about the resource, as in every Kubernetes API."""

    type: str = Field(max_length=64)
    """What is observed."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: str = Field(max_length=128)
    """Why, in one CamelCase word."""
    message: str = Field(max_length=4096)
    """Why, for a person."""
    last_transition_time: str = Field(json_schema_extra={"format": "date-time"})
    """When the status last changed."""
    observed_generation: int = 0
    """The spec's generation that this was seen at."""


Conditions = tuple[Condition, ...]
LIST_MAP_BY_TYPE: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
LIST_MAP_BY_NAME: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}


class ArtifactRef(StatusModel):
    """One artifact, by place and by content."""

    name: str
    """Its role here: dataset, validation, model, or a graph node's name."""
    uri: str
    """Where it was read or written."""
    digest: str
    """SHA-256 of its manifest."""
