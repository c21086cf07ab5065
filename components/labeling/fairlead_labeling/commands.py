"""The commands."""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from fairlead_artifacts import parse_uri
from fairlead_datasets.errors import Unusable

from .documents import Annotation, Tasks, read_document, write_json
from .examples import parse_shape, read_examples
from .exchange import coco, json_files
from .gate import Requirements
from .importing import import_annotations
from .report import build_json, build_text
from .selecting import Place, Selection, select

if TYPE_CHECKING:
    from .exchange.label_studio import Studio

_NOT_AGREED = 3


def _select(options: argparse.Namespace) -> int:
    tasks = select(
        Selection(
            dataset=Place(options.dataset, options.dataset_digest),
            model=Place(options.model, options.model_digest),
            split=options.split,
            labels=tuple(filter(None, options.labels.split(","))),
            measure=options.by,
            count=options.count,
            url=options.url,
            predictions=options.predictions,
            output=options.output,
            retry_seconds=options.retry_seconds,
        )
    )
    write_json(options.out, tasks.to_json())
    sys.stdout.write(f"{len(tasks.items):,} tasks: {options.out}\n")
    return 0


def _export(options: argparse.Namespace) -> int:
    tasks = read_document(Tasks, options.tasks)
    examples = read_examples(tasks, parse_shape(options.picture))
    if options.json:
        json_files.write_tasks(tasks, examples, options.json)
    elif options.coco:
        coco.write_tasks(tasks, examples, options.coco)
    else:
        count = _open_studio(options).push(tasks, list(examples))
        sys.stdout.write(f"{count:,} of {len(tasks.items):,} tasks were created in the project {options.project}\n")
    return 0


def _import(options: argparse.Namespace) -> int:
    parse_uri(options.to)  # before the work, so that a wrong one costs none
    tasks = read_document(Tasks, options.tasks)
    required = Requirements(options.min_kappa, options.annotators, options.partial)
    imported = import_annotations(tasks, _read(tasks, options), required, options.into, options.to)
    sys.stdout.write(build_text(imported))
    if options.report:
        write_json(options.report, build_json(imported.verdict))
    if imported.manifest is None:
        sys.stderr.write("fairlead-labeling: the annotations do not pass; nothing was published\n")
        return _NOT_AGREED
    sys.stdout.write(f"published: {options.to}\n")
    if options.out:
        kappa = imported.verdict.agreement.kappa
        result = {"uri": options.to, "digest": imported.manifest.digest, "splits": dict(imported.sizes)}
        write_json(options.out, result | {"kappa": kappa})
    return 0


def _read(tasks: Tasks, options: argparse.Namespace) -> Iterable[Annotation]:
    if options.json:
        return json_files.read_annotations(tasks, options.json)
    if options.coco:
        return coco.read_annotations(tasks, options.coco)
    return _open_studio(options).pull(tasks)


def _open_studio(options: argparse.Namespace) -> "Studio":
    from .exchange.label_studio import Studio, parse_url  # its SDK costs every command seconds

    title = options.project or ""
    if not (3 <= len(title) <= 50 and title.isprintable()):
        raise Unusable("--project: expected a title of 3 to 50 characters")  # Label Studio's limits
    return Studio(parse_url(options.label_studio), title, options.retry_seconds)


COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {"select": _select, "export": _export, "import": _import}
