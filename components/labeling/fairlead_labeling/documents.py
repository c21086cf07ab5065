"""The files of labeling: the tasks, which are made once, and the annotations, which come from outside."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, TypeVar

from fairlead_contracts.base import DIGEST, PRINTABLE, URI, Contract, Sparse, problem
from fairlead_contracts.errors import ContractError
from fairlead_datasets.errors import Unusable
from pydantic import Field, StringConstraints, model_validator

MAX_ITEMS, MAX_LABELS, MAX_ANNOTATORS = 100_000, 10_000, 1_000
SPLIT = r"^[a-z][a-z0-9_-]{0,62}$"
"""A split's name, which is that of a file, too."""
ItemId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Label = Annotated[str, StringConstraints(pattern=PRINTABLE, min_length=1, max_length=255)]
_Document = TypeVar("_Document", bound=Contract)


class Pinned(Contract):
    """An artifact and its digest."""

    uri: str = Field(pattern=URI, max_length=2048)
    digest: str = Field(pattern=DIGEST)


class Item(Sparse):
    """An example to label."""

    id: ItemId
    """The SHA-256 of its inputs: the same in each version of the dataset."""
    row: int = Field(ge=0)
    """Its row in the split; the first one, if there are equal ones."""
    uncertainty: float | None = None
    predicted: Label | None = None
    """What the model takes it for. Annotators are not shown this."""


class Tasks(Contract):
    """Examples of a dataset's split that are to be labelled."""

    max_bytes: ClassVar[int] = 64 << 20
    schema_: Literal["fairlead.dev/labeling-tasks/v1"] = Field("fairlead.dev/labeling-tasks/v1", alias="schema")
    dataset: Pinned
    model: Pinned | None = None
    """The model that was uncertain."""
    split: str = Field(pattern=SPLIT)
    labels: tuple[Label, ...] = Field(min_length=2, max_length=MAX_LABELS, strict=False)
    """The labels that annotators choose from; `y` is the index of one."""
    items: tuple[Item, ...] = Field(min_length=1, max_length=MAX_ITEMS, strict=False)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for at, names in (("labels", self.labels), ("items", tuple(item.id for item in self.items))):
            if twice := _find_repeated(names):
                raise problem(at, twice, "each one once")
        return self


class Annotation(Contract):
    """What an annotator says of an item."""

    item: ItemId
    annotator: Label
    label: str = Field(pattern=PRINTABLE, max_length=255)


class Annotations(Contract):
    """Annotations of a dataset's items."""

    max_bytes: ClassVar[int] = 256 << 20
    schema_: Literal["fairlead.dev/labeling-annotations/v1"] = Field(
        "fairlead.dev/labeling-annotations/v1", alias="schema"
    )
    dataset: str = Field(pattern=DIGEST)
    """The digest of the dataset."""
    annotations: tuple[Annotation, ...] = Field(max_length=MAX_ITEMS * 20, strict=False)


def read_document(kind: type[_Document], file: Path) -> _Document:
    """Read a file; raise Unusable, naming file and field."""
    try:
        if file.stat().st_size > kind.max_bytes:
            raise Unusable(f"{file}: got {file.stat().st_size} bytes, expected at most {kind.max_bytes}")
        return kind.parse_json(file.read_bytes(), "the document")
    except OSError as error:
        raise Unusable(f"{file}: {error.strerror}, expected a file of {kind.__name__.lower()}") from None
    except ContractError as error:
        raise Unusable(f"{file}: {error}") from None


def build(kind: type[_Document], at: str, fields: Mapping[str, object]) -> _Document:
    """Return a document, or a part of one, of values from outside; raise Unusable, naming the field."""
    try:
        return kind.parse(fields, at)
    except ContractError as error:
        raise Unusable(str(error)) from None


def write_json(file: Path, document: Mapping[str, object]) -> None:
    """Write a JSON file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.part")
    part.write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    part.replace(file)


def _find_repeated(names: tuple[str, ...]) -> str | None:
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)  # type: ignore[func-returns-value]
