"""Read a file of a store that belongs to no artifact, such as data that another program has put there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from .errors import ArtifactError, StoreUnavailable
from .stores import open_store
from .streams import Readable
from .uri import parse_uri


@contextmanager
def open_object(uri: str) -> Iterator[Readable]:
    """Open the file at a URI, s3://bucket/folder/file or file:///folder/file; raise ArtifactError.

    What is read is not verified: there is no manifest.
    """
    location = parse_uri(uri)
    folder, slash, name = location.path.rpartition("/")
    if not folder and location.scheme == "s3":
        raise ArtifactError(uri, "is at the top of its bucket; expected a file below a folder, s3://bucket/folder/file")
    try:
        with open_store(location).open_file(replace(location, path=folder or slash), name) as source:
            yield source
    except StoreUnavailable:
        raise
    except ArtifactError as error:
        raise ArtifactError(uri, error.problem.replace(" of the manifest", "")) from None
