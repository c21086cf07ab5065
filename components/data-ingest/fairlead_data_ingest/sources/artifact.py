"""A dataset that is published already."""

from pathlib import Path

from fairlead_artifacts import JsonValue, Manifest, Parent, read_manifest
from fairlead_artifacts import fetch as fetch_artifact

from ..source import Source
from ..tables.types import TYPES
from .fetched import Fetched, check_size, pick_files


def fetch(source: Source, base: Path, work: Path) -> Fetched:
    """Fetch the artifact, verified; it becomes the parent of the dataset."""
    del base
    uri = str(source.artifact)
    manifest = read_manifest(uri, source.digest)
    check_size(uri, manifest.size, source.size_limit)
    fetch_artifact(uri, work / "artifact", manifest.digest, kind="dataset")
    files = pick_files((entry.path for entry in manifest.files if entry.path != "recipe.json"), source.files)
    origin: dict[str, JsonValue] = {"kind": "artifact", "uri": uri, "digest": manifest.digest, "files": len(files)}
    return Fetched(work / "artifact", files, origin, (Parent("source", manifest.digest, uri),), None, _types(manifest))


def _types(manifest: Manifest) -> dict[str, str]:
    """Return the types of columns; none for a dataset that says nothing of them."""
    found = manifest.parameters.get("types")
    return {name: str(kind) for name, kind in found.items() if kind in TYPES} if isinstance(found, dict) else {}
