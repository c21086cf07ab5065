"""The ingest: fetch, check, split, augment, write, and publish the dataset."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from fairlead_artifacts import PUBLISH_SECONDS, JsonValue, Manifest, publish
from fairlead_datasets.errors import Unusable
from fairlead_datasets.survey.images import looks_like_images

from . import __version__
from .assign import Assigned, assign
from .augment import add_noise
from .images import PIXELS, read_images
from .outputs.images import write_images
from .outputs.tables import find_features, write_table
from .outputs.written import Written
from .recipe import Recipe
from .sources import fetch
from .sources.fetched import Fetched, check_size
from .tables.read import read_table
from .tables.rows import Rows

PRODUCER = f"fairlead-data-ingest/{__version__}"
RECIPE = "recipe.json"
"""The file of the dataset with the recipe that made it."""
_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet"}


@dataclass(frozen=True)
class Ingested:
    """A dataset that was written, and published unless it was only checked."""

    written: Written
    origin: Mapping[str, JsonValue]
    assigned: Assigned
    sample: pa.Table
    """The first part, for the summary."""
    manifest: Manifest | None


def ingest(recipe: Recipe, base: Path, uri: str | None) -> Ingested:
    """Make the dataset and publish it at the URI, if there is one; `base` is the recipe's folder.

    Raises Unusable for data or a recipe that do not fit, SourceUnavailable, or ArtifactError, without publishing.
    """
    with tempfile.TemporaryDirectory() as temporary:
        work, out = Path(temporary, "work"), Path(temporary, "out")
        work.mkdir()
        out.mkdir()
        fetched = fetch(recipe.source, base, work)
        kind = _find_format(fetched, recipe)
        rows, identity = _read(fetched, kind, recipe)
        assigned = assign(rows, identity, recipe)
        parts = {name: rows.table.take(pa.array(assigned.members(place))) for place, name in enumerate(assigned.names)}
        if sum(part.num_rows for part in parts.values()) != len(assigned.kept):
            raise AssertionError(f"the splits {', '.join(assigned.names)} do not have every row once")
        written = _write(parts, fetched, kind, recipe, out)
        text = json.dumps(recipe.model_dump(mode="json", exclude_none=True), indent=1)
        (out / RECIPE).write_text(text)
        parameters: dict[str, JsonValue] = {
            **written.facts,
            "splits": dict(written.splits),
            "source": dict(fetched.origin),
        }
        manifest = uri and publish(
            out, uri, kind="dataset", producer=PRODUCER, parents=fetched.parents, parameters=parameters,
            retry_seconds=PUBLISH_SECONDS,
        )  # fmt: skip
        return Ingested(written, fetched.origin, assigned, parts[assigned.names[0]], manifest or None)


def _find_format(fetched: Fetched, recipe: Recipe) -> str:
    if fetched.table is not None:
        return "table"
    if recipe.source.format:
        return recipe.source.format
    if looks_like_images(fetched.files):
        return "images"
    kinds = {_SUFFIXES.get(Path(name).suffix.lower(), "") for name in fetched.files}
    if len(kinds) == 1 and "" not in kinds:
        return kinds.pop()
    some = ", ".join(fetched.files[:5])
    expected = "CSV or parquet files, or images by class; name them in source.files or source.format"
    raise Unusable(f"source: got {some}; expected {expected}")


def _read(fetched: Fetched, kind: str, recipe: Recipe) -> tuple[Rows, list[str]]:
    """Return the examples, and the columns by which two of them are equal."""
    if kind != "images":
        rows = read_table(fetched, kind, recipe)
        return rows, list(rows.table.column_names)
    if recipe.columns:
        raise Unusable("columns: got a schema, expected none for images")
    return read_images(fetched.root, fetched.files), [PIXELS]


def _write(parts: Mapping[str, pa.Table], fetched: Fetched, kind: str, recipe: Recipe, out: Path) -> Written:
    augment, target = recipe.augment, recipe.output.format or {"table": "parquet"}.get(kind, kind)
    if (kind == "images") != (target == "images") and target != "npz":
        raise Unusable(
            f"output.format: got {target}, expected {'images or npz' if kind == 'images' else 'csv, parquet or npz'}"
        )
    if augment and (kind == "images") != (augment.images is not None):
        raise Unusable(f"augment: expected {'images' if kind == 'images' else 'noise'} for this source")
    if kind == "images":
        return write_images(parts, fetched.root, recipe, target, out)
    if augment and augment.noise:
        part = parts[augment.split]
        names = [name for name in find_features(part, recipe) if pa.types.is_floating(part[name].type)]
        check_size("augment: the copies", part.nbytes * (1 + augment.copies), recipe.source.size_limit)
        noisy = add_noise(part, names, augment.noise, augment.copies, augment.seed)
        parts = {**parts, augment.split: noisy}
    return write_table(parts, recipe, target, out)
