"""Tasks and annotations as JSON, for tools of one's own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairlead_datasets.errors import Unusable

from ..documents import Annotation, Annotations, Tasks, read_document, write_json
from ..examples import Example


def write_tasks(tasks: Tasks, examples: Iterator[Example], file: Path) -> None:
    """Write the items with their inputs; annotations name the `item` and the `dataset`."""
    items: list[Any] = [{"item": each.item, "values": dict(each.values)} for each in examples]
    write_json(file, {"dataset": tasks.dataset.digest, "labels": list(tasks.labels), "items": items})


def read_annotations(tasks: Tasks, files: list[Path]) -> Iterator[Annotation]:
    """Yield the annotations of files; raise Unusable for those of another dataset."""
    for file in files:
        document = read_document(Annotations, file)
        if document.dataset != tasks.dataset.digest:
            raise Unusable(f"{file}: is about the dataset {document.dataset}, expected {tasks.dataset.digest}, "
                           f"as the tasks")  # fmt: skip
        yield from document.annotations
