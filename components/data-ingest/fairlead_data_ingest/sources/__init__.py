"""Where data come from: each source fetches files into a folder, or returns a table."""

from collections.abc import Callable
from pathlib import Path

from fairlead_datasets.errors import Unusable

from ..source import Source
from . import artifact, database, downloads, local, synthetic
from .fetched import Fetched

_FETCH: dict[str, Callable[[Source, Path, Path], Fetched]] = {
    "path": local.fetch,
    "url": downloads.fetch_url,
    "object_": downloads.fetch_object,
    "artifact": artifact.fetch,
    "url_variable": downloads.fetch_url,
    "url_file": downloads.fetch_url,
    "query": database.fetch,
    "synthetic": synthetic.fetch,
}


def fetch(source: Source, base: Path, work: Path) -> Fetched:
    """Fetch a source; `base` is the recipe's folder, `work` an empty one.

    Raises Unusable, SourceUnavailable or ArtifactError.
    """
    fetched = _FETCH[source.kind](source, base, work)
    if fetched.table is None and not fetched.files:
        raise Unusable(f"source: no file matches {source.files!r}, expected at least one")
    return fetched
