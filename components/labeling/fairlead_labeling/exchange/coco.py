"""Tasks and annotations as COCO files: a picture for each item, and its label as the category of one annotation.

An annotator's answers are one file. Boxes and masks are not read: what an item is has one label.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

from fairlead_contracts.base import Contract
from fairlead_datasets.errors import Unusable
from pydantic import ConfigDict, Field

from ..documents import MAX_ITEMS, MAX_LABELS, Annotation, ItemId, Label, Tasks, build, read_document, write_json
from ..examples import Example
from ..gate import bound

_PICTURES, _FILE = "images", "tasks.coco.json"


class _Part(Contract):
    # its fields are in snake case
    model_config = ConfigDict(alias_generator=None)


class _Info(_Part):
    dataset: str | None = None


class _Image(_Part):
    id: int
    file_name: str = Field(max_length=1000)


class _Category(_Part):
    id: int
    name: Label


class _Annotation(_Part):
    image_id: int
    category_id: int


class _Coco(_Part):
    """What is read of a file."""

    max_bytes: ClassVar[int] = 256 << 20
    info: _Info = _Info()
    images: Annotated[tuple[_Image, ...], Field(max_length=MAX_ITEMS, strict=False)]
    categories: Annotated[tuple[_Category, ...], Field(max_length=MAX_LABELS, strict=False)]
    annotations: Annotated[tuple[_Annotation, ...], Field(max_length=10 * MAX_ITEMS, strict=False)] = ()


def write_tasks(tasks: Tasks, examples: Iterator[Example], folder: Path) -> None:
    """Write `tasks.coco.json` and the pictures into a folder; raise Unusable for items that are no pictures."""
    (folder / _PICTURES).mkdir(parents=True, exist_ok=True)
    images: list[object] = []
    for number, example in enumerate(examples, start=1):
        if example.picture is None:
            raise Unusable(f"item {example.item[:12]}: is no picture, expected one for COCO; name its shape with "
                           "--picture")  # fmt: skip
        name = f"{_PICTURES}/{example.item}.png"
        (folder / name).write_bytes(example.picture)
        width, height = example.size
        images.append({"id": number, "file_name": name, "width": width, "height": height})
    categories = [{"id": number, "name": label} for number, label in enumerate(tasks.labels, start=1)]
    info = {"description": "items to label", "dataset": tasks.dataset.digest}
    document = {"info": info, "images": images, "categories": categories, "annotations": []}
    write_json(folder / _FILE, json.loads(json.dumps(document)))


def read_annotations(tasks: Tasks, named: Sequence[str]) -> Iterator[Annotation]:
    """Yield the annotations of files, each `annotator=file`; raise Unusable."""
    files = dict[str, Path]()
    for text in named:
        name, separator, path = text.partition("=")
        if not separator or not name or name in files:
            raise Unusable(f"--coco: got {text[:100]!r}, expected ANNOTATOR=FILE, each annotator once")
        files[name] = Path(path)
    for name, file in files.items():
        yield from _read_file(tasks, name, file)


def _read_file(tasks: Tasks, annotator: str, file: Path) -> Iterator[Annotation]:
    document = read_document(_Coco, file)
    if document.info.dataset not in (None, tasks.dataset.digest):
        raise Unusable(f"{file}: is about the dataset {document.info.dataset}, expected {tasks.dataset.digest}, "
                       "as the tasks")  # fmt: skip
    known = {item.id for item in tasks.items}
    items: dict[int, ItemId] = {}
    problems: list[str] = []
    for image in document.images:
        item = image.file_name.replace("\\", "/").rpartition("/")[2].removesuffix(".png")
        if item not in known:
            problems.append(f"image {image.id}: {image.file_name[:80]!r} is no item of the tasks")
        if items.setdefault(image.id, item) != item:
            problems.append(f"image {image.id}: is there twice, expected one image of this id")
    names = {category.id: category.name for category in document.categories}
    for place, each in enumerate(document.annotations):
        if each.image_id not in items:
            problems.append(f"annotations[{place}].image_id: got {each.image_id}, expected one of the images")
        elif each.category_id not in names:
            problems.append(f"annotations[{place}].category_id: got {each.category_id}, expected one of the categories")
    if problems:
        raise Unusable("\n".join(f"{file}: {line}" for line in bound(problems)))
    for each in document.annotations:
        said = {"item": items[each.image_id], "annotator": annotator, "label": names[each.category_id]}
        yield build(Annotation, "--coco", said)
