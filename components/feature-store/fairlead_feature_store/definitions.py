"""The definitions of features: a YAML file that says what is read from which artifact, and what is served together.

They are data: nothing of a tenant is executed to read them (docs/decisions/0051-feature-store.md).
"""

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml  # type: ignore[import-untyped, unused-ignore]
from fairlead_contracts.base import Contract, problem
from fairlead_contracts.errors import ContractError
from pydantic import Field, StringConstraints, field_validator, model_validator

from .errors import Unusable

FILE = "features.yaml"
SEPARATOR = "__"
"""Between view and feature, in the names of columns and tensors."""
_MAX_BYTES, _MAX_ITEMS = 1 << 20, 256
_MAX_TTL_SECONDS = 10 * 365 * 86400
_MAX_TABLE_NAME = 60
"""Of a view's table in the online store, PROJECT_VIEW: Postgres cuts names at 63 bytes, and its index is called _ek."""

Name = Annotated[str, StringConstraints(max_length=63, pattern=r"^[a-z]([a-z0-9]|_[a-z0-9])*$")]
"""Without two underscores in a row, which separate a view from its feature."""
ProjectName = Annotated[str, StringConstraints(max_length=40, pattern=r"^[a-z][a-z0-9]*$")]
"""Without underscores: two projects' views have different tables."""
Column = Annotated[str, StringConstraints(min_length=1, max_length=255)]
FilePath = Annotated[
    str, StringConstraints(max_length=1024, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")
]
KeyType = Literal["INT64", "BYTES"]
FeatureType = Literal["FP32", "FP64", "INT32", "INT64", "BOOL", "BYTES"]


class Feature(Contract):
    """One feature."""

    type: FeatureType
    """Its V2 data type; BYTES are texts."""
    default: bool | int | float | str | None = None
    """Its value where there is none, when it is joined and when it is served; without it, none is an error."""
    description: str = Field("", max_length=1000)

    @model_validator(mode="after")
    def _check_default(self) -> Self:
        if self.default is not None and type(self.default) not in _DEFAULTS[self.type]:
            raise problem("default", self.default, f"a value of {self.type}")
        if isinstance(self.default, (int, float)) and not _holds(self.type, self.default):
            raise problem("default", self.default, f"a value of {self.type}")
        return self


def _holds(kind: str, value: float) -> bool:
    """Return whether a number type has a value: of integers the very same, of others one that is finite."""
    bits = {"INT32": 31, "INT64": 63}.get(kind)
    if bits is not None:
        return -(1 << bits) <= value < 1 << bits
    code = {"FP32": "<f", "FP64": "<d"}.get(kind)
    if code is None:
        return True
    try:
        (held,) = struct.unpack(code, struct.pack(code, float(value)))
    except OverflowError:
        return False
    return math.isfinite(held) and (isinstance(value, float) or int(held) == value)


_DEFAULTS: dict[str, tuple[type, ...]] = {
    "FP32": (int, float), "FP64": (int, float), "INT32": (int,), "INT64": (int,), "BOOL": (bool,), "BYTES": (str,)
}  # fmt: skip


class Source(Contract):
    """A Parquet file in an artifact: the history of a view's features, a row for each event."""

    artifact: Name
    """The name by which commands are told which artifact it is."""
    file: FilePath
    """Its path in the artifact."""
    timestamp: Column
    """The column that says when what a row describes has happened."""
    created: Column | None = None
    """The column that says when the row was known; without it, each row was known when it happened."""


class View(Contract):
    """Features of the same entities from one source."""

    entities: Annotated[tuple[Name, ...], Field(min_length=1, max_length=8, strict=False)]
    source: Source
    ttl_seconds: int | None = Field(None, ge=1, le=_MAX_TTL_SECONDS)
    """How old an event may be whose features are used; None for any age."""
    features: dict[Name, Feature] = Field(min_length=1, max_length=_MAX_ITEMS)
    description: str = Field("", max_length=1000)

    @field_validator("entities")
    @classmethod
    def _check_unique(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise problem("", value, "unique names")
        return value


@dataclass(frozen=True)
class Selected:
    """The features of one view that a set contains, in order."""

    view: str
    definition: View
    features: Mapping[str, Feature]

    def columns(self) -> Iterator[tuple[str, str, Feature]]:
        """Yield each feature's column, name and definition."""
        for name, feature in self.features.items():
            yield f"{self.view}{SEPARATOR}{name}", name, feature


class Definitions(Contract):
    """A project's entities, views and sets."""

    project: ProjectName
    entities: dict[Name, KeyType] = Field(min_length=1, max_length=_MAX_ITEMS)
    """The type of each entity's key, whose column has the entity's name."""
    views: dict[Name, View] = Field(min_length=1, max_length=_MAX_ITEMS)
    sets: dict[Name, Annotated[tuple[str, ...], Field(min_length=1, max_length=_MAX_ITEMS, strict=False)]] = Field(
        default={}, max_length=_MAX_ITEMS
    )
    """What is joined and served together: names of views, or of one feature as `view:feature`."""

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        for name, view in self.views.items():
            if len(self.project) + 1 + len(name) > _MAX_TABLE_NAME:
                most = _MAX_TABLE_NAME - 1 - len(self.project)
                raise problem("views", name, f"a name of at most {most} characters in the project {self.project}")
            for index, entity in enumerate(view.entities):
                if entity not in self.entities:
                    raise problem(f"views.{name}.entities[{index}]", entity, f"one of {', '.join(self.entities)}")
            taken = {*view.entities, view.source.timestamp, view.source.created}
            if clash := sorted(taken & set(view.features), key=str):
                raise problem(f"views.{name}.features", clash[0], "another name than a key or timestamp has")
        for name in self.sets:
            self._select(name)
        return self

    def select(self, name: str) -> list[Selected]:
        """Return the views of a set, each with the features in it; raise Unusable for an unknown set."""
        if name not in self.sets:
            raise Unusable(f"sets: got {name!r}, expected one of {', '.join(self.sets) or 'those of the definitions'}")
        return self._select(name)

    def keys(self, selected: list[Selected]) -> dict[str, KeyType]:
        """Return the entities of some views, in the order of the definitions."""
        used = {entity for each in selected for entity in each.definition.entities}
        return {name: kind for name, kind in self.entities.items() if name in used}

    def _select(self, name: str) -> list[Selected]:
        chosen: dict[str, dict[str, Feature]] = {}
        for index, item in enumerate(self.sets[name]):
            view, _, feature = item.partition(":")
            at = f"sets.{name}[{index}]"
            if view not in self.views:
                raise problem(at, item, f"a view of {', '.join(self.views)}")
            known = self.views[view].features
            if feature and feature not in known:
                raise problem(at, item, f"a feature of {', '.join(known)}")
            chosen.setdefault(view, {}).update({feature: known[feature]} if feature else known)
        return [Selected(view, self.views[view], features) for view, features in chosen.items()]


def read_definitions(file: Path) -> Definitions:
    """Read the file; raise Unusable."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise Unusable(f"{file.name}: cannot be read: {error.strerror}") from None
    if len(content) > _MAX_BYTES:
        raise Unusable(f"{file.name}: got {len(content)} bytes, expected at most {_MAX_BYTES}")
    try:
        document: Any = yaml.safe_load(content)
        return Definitions.parse(document, file.name)
    except (yaml.YAMLError, RecursionError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, ContractError):
            raise Unusable(str(error)) from None
        raise Unusable(f"{file.name}: got no YAML: {str(error)[:200]}") from None
