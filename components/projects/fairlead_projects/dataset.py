"""`fairlead dataset publish`: a folder, table or image folder as a dataset artifact."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer
from fairlead.api.base import ARTIFACT_URI
from fairlead.cli.console import CommandError, err, escape, out
from fairlead_artifacts import Manifest
from fairlead_artifacts import publish as publish_artifact
from fairlead_datasets.survey import FORMATS, Format, Survey, survey
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from fairlead_projects.explaining import RETRY_SECONDS, explained

PRODUCER = "fairlead-dataset/0.1.0"
_MAX_LISTED = 12
_EXAMPLES = """
Examples:

  fairlead dataset publish houses.csv s3://datasets/houses/v1

  fairlead dataset publish ./flowers s3://datasets/flowers/v1     [dim]# a subfolder of images for each class[/]

  fairlead dataset publish ./shards file:///data/shards/v1 --format folder --json

The object store is configured by AWS_ENDPOINT_URL, AWS_REGION and the credentials that the AWS SDKs find.
"""


def publish(
    path: Annotated[Path, typer.Argument(help="A folder, a CSV or parquet file, or a folder of images by class.")],
    uri: Annotated[str, typer.Argument(help="Where to publish it: s3://bucket/path or file:///path.")],
    format_: Annotated[
        str | None,
        typer.Option("--format", help=f"{', '.join(FORMATS)}; default: by the file's name and the folder's content."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the URI, digest and facts as JSON.")] = False,
) -> None:
    """Publish a dataset, whole or not at all, and print its digest.

    Publishing the same content again changes nothing. Other content at the URI is an error: publish it at a new one.
    """
    with explained():
        _check_uri(uri)
        with err.status(f"reading {escape(str(path))}"):
            found = survey(path, _parse_format(format_))
        manifest = _publish(found, uri)
    if as_json:
        facts = {"uri": uri, "digest": manifest.digest, "files": len(manifest.files), "bytes": manifest.size}
        out.print_json(json.dumps(facts | dict(found.facts)))
    else:
        _print_summary(found, uri, manifest)


publish.__doc__ = f"{publish.__doc__}\n{_EXAMPLES}"


def _parse_format(text: str | None) -> Format | None:
    for known in FORMATS:
        if text == known:
            return known
    if text is None:
        return None
    raise CommandError(f"--format: got {text!r}, expected one of {', '.join(FORMATS)}")


def _check_uri(uri: str) -> None:
    """Raise CommandError for a URI that no TrainingJob could name."""
    if not re.fullmatch(ARTIFACT_URI, uri):
        expected = "s3://bucket/path or file:///path of letters, digits and ._@=+-, without a slash at the end"
        raise CommandError(f"URI: got {uri!r}, expected {expected}")


def _publish(found: Survey, uri: str) -> Manifest:
    """Publish with a progress bar: each byte is read once to hash it and once to write it."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("hashing", total=found.size)
        done = 0

        def show(count: int) -> None:
            nonlocal done
            done += count
            writing = done > found.size
            bar.update(
                task, description="writing" if writing else "hashing", completed=done - found.size * writing
            )  # fmt: skip

        return publish_artifact(
            found.root, uri, kind="dataset", producer=PRODUCER, parameters=found.facts,
            files=found.sizes, on_bytes=show, retry_seconds=RETRY_SECONDS,
        )  # fmt: skip


def _print_summary(found: Survey, uri: str, manifest: Manifest) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, text in _describe(found):
        table.add_row(name, escape(text))
    table.add_row("digest", f"[green]{manifest.digest}[/]")
    out.print(f"[green]✓[/] published [bold]{escape(uri)}[/]", soft_wrap=True)
    out.print(table)
    out.print("\nFor a TrainingJob:", style="dim")
    out.print(f"  dataset:\n    uri: {escape(uri)}\n    digest: {manifest.digest}", soft_wrap=True)


def _describe(found: Survey) -> Iterator[tuple[str, str]]:
    yield "format", found.format
    yield "files", f"{len(found.sizes):,} ({_list_counts(Counter(map(_extension, found.sizes)))})"
    yield "size", decimal(found.size)
    facts = found.facts
    if isinstance(rows := facts.get("rows"), int):
        yield "rows", f"{rows:,}"
    if isinstance(columns := facts.get("columns"), list):
        more = f", and {len(columns) - _MAX_LISTED:,} more" if len(columns) > _MAX_LISTED else ""
        yield "columns", f"{len(columns):,}: {', '.join(map(str, columns[:_MAX_LISTED]))}{more}"
    if isinstance(classes := facts.get("classes"), dict):
        counts = Counter({name: count for name, count in classes.items() if isinstance(count, int)})
        yield "classes", f"{len(counts):,}: {_list_counts(counts)}"
    if found.left_out:
        yield "left out", f"{found.left_out:,} files and folders of other programs, such as .DS_Store and .git"


def _extension(path: str) -> str:
    return PurePosixPath(path).suffix or PurePosixPath(path).name


def _list_counts(counts: Counter[str]) -> str:
    """Return the most frequent names with their counts."""
    listed = ", ".join(f"{name} {count:,}" for name, count in counts.most_common(_MAX_LISTED))
    return f"{listed}, and {len(counts) - _MAX_LISTED:,} more" if len(counts) > _MAX_LISTED else listed
