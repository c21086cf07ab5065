"""Import what DVC tracks: its objects, checked by their MD5, become an artifact, whose SHA-256 holds from then on."""

import hashlib
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

from fairlead_artifacts import PUBLISH_SECONDS, FileEntry, JsonValue, Manifest, Parent, publish
from fairlead_artifacts.streams import Source, read_entry

from . import __version__
from .dvc_files import DvcFile, Entry, Exported, Out, read_dvc_file
from .errors import Unusable
from .objects import Find, copy_out, in_cache, list_entries
from .remotes import Remote
from .repository import Repository, find_repository, list_dvc_files

PRODUCER = f"fairlead-versioning/{__version__}"


def import_dvc(place: Path, remote: str | None, uri: str, kind: str) -> Manifest:
    """Publish what a `.dvc` file, or all of a folder, tracks; raise Unusable, RemoteUnavailable or ArtifactError."""
    files = {file: read_dvc_file(file) for file in list_dvc_files(place)}
    repository, root = find_repository(place, remote), place if place.is_dir() else place.parent
    with tempfile.TemporaryDirectory() as temporary:
        work, content = Path(temporary, "work"), Path(temporary, "content")
        content.mkdir()
        for file, document in files.items():
            below = content / file.parent.relative_to(root)
            for number, out in enumerate(document.outs):
                at = f"{file}: outs[{number}]"
                find, entries = _find_objects(out, repository, work, at)
                copy_out(out, entries, find, below, at)
        parents = [_check_exported(file, document, content / file.parent.relative_to(root))
                   for file, document in files.items() if document.meta.fairlead]  # fmt: skip
        parameters: dict[str, JsonValue] = {
            "dvc": [{"file": file.relative_to(root).as_posix(), "path": out.path, "md5": out.md5}
                    for file, document in files.items() for out in document.outs]
        }  # fmt: skip
        return publish(
            content, uri, kind=kind, producer=PRODUCER, parents=parents, parameters=parameters,
            retry_seconds=PUBLISH_SECONDS,
        )  # fmt: skip


def digest_files(entries: Iterable[FileEntry]) -> str:
    """Return the digest of a list of files: the SHA-256 of its canonical JSON."""
    listed = sorted([entry.path, entry.size, entry.sha256] for entry in entries)
    return f"sha256:{hashlib.sha256(json.dumps(listed, separators=(',', ':')).encode()).hexdigest()}"


def _find_objects(out: Out, repository: Repository, work: Path, at: str) -> tuple[Find, list[Entry]]:
    """Return how an out's objects are found, and its files: in the cache if all are there, else in the remote."""
    find = in_cache(repository.cache)
    if find(out.md5) is not None:
        entries = list_entries(out, find, at)
        if all(find(entry.md5) for entry in entries):
            return find, entries
    url = repository.find_remote(out, at)
    if url is not None:
        found = Remote(url, work / hashlib.sha256(url.encode()).hexdigest()[:16]).fetch([out])
        find = _either(find, found)
    return find, list_entries(out, find, at)


def _either(first: Find, second: Find) -> Find:
    return lambda md5: first(md5) or second(md5)


def _check_exported(file: Path, document: DvcFile, folder: Path) -> Parent:
    """Return the artifact that an export has noted as a parent; raise Unusable if the files are not those of it."""
    noted: Exported | None = document.meta.fairlead
    if noted is None or len(document.outs) != 1:
        raise Unusable(f"{file}: meta.fairlead: got several outs, expected the one that was exported")
    (out,) = document.outs
    source = Source(folder / out.path)
    names = [path.relative_to(source.folder).as_posix() for path in source.folder.rglob("*") if path.is_file()]
    found = digest_files(read_entry(source, name) for name in names)
    if found != noted.files:
        raise Unusable(f"{file}: meta.fairlead.files: its files have the digest {found}, expected {noted.files}, "
                       f"as in the artifact {noted.uri}")  # fmt: skip
    return Parent(out.path, noted.digest, noted.uri)
