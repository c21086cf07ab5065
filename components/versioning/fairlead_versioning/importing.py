"""Import what DVC tracks: its objects, checked by their MD5, become an artifact, whose SHA-256 holds from then on."""

import hashlib
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from fairlead_artifacts import PUBLISH_SECONDS, FileEntry, JsonValue, Manifest, publish
from fairlead_artifacts.streams import Source, read_entry

from . import __version__
from .collecting import Tracked, collect
from .dvc_files import DvcFile, Exported, read_dvc_file
from .errors import Unusable
from .objects import copy_out
from .repository import find_repository, list_dvc_files

PRODUCER = f"fairlead-versioning/{__version__}"


def import_dvc(place: Path, remote: str | None, uri: str, kind: str, max_bytes: int) -> Manifest:
    """Publish what a `.dvc` file, or all of a folder, tracks; raise Unusable, RemoteUnavailable or ArtifactError."""
    files = {file: read_dvc_file(file) for file in list_dvc_files(place)}
    repository, root = find_repository(place, remote), place if place.is_dir() else place.parent
    tracked = [
        Tracked(out, PurePosixPath(file.parent.relative_to(root)), f"{file}: outs[{number}]")
        for file, document in files.items() for number, out in enumerate(document.outs)
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as temporary:
        content = Path(temporary, "content")
        content.mkdir()
        collected, find = collect(tracked, repository, Path(temporary, "work"), max_bytes)
        for each in collected:
            copy_out(each.tracked.out, each.entries, find, content / each.tracked.below, each.tracked.at)
        noted: list[JsonValue] = []
        for file, document in files.items():
            claim = _check_exported(file, document, content / file.parent.relative_to(root))
            noted += [{"file": file.relative_to(root).as_posix(), "path": out.path, "md5": out.md5, **claim}
                      for out in document.outs]  # fmt: skip
        return publish(
            content, uri, kind=kind, producer=PRODUCER, parameters={"dvc": noted}, retry_seconds=PUBLISH_SECONDS
        )


def digest_files(entries: Iterable[FileEntry]) -> str:
    """Return the digest of a list of files: the SHA-256 of its canonical JSON."""
    listed = sorted([entry.path, entry.size, entry.sha256] for entry in entries)
    return f"sha256:{hashlib.sha256(json.dumps(listed, separators=(',', ':')).encode()).hexdigest()}"


def _check_exported(file: Path, document: DvcFile, folder: Path) -> dict[str, JsonValue]:
    """Return the artifact that a `.dvc` file says it was exported from; raise Unusable if its files are others.

    Whoever writes the file can say so of any artifact: it is a claim, and no parent.
    """
    noted: Exported | None = document.meta.fairlead
    if noted is None:
        return {}
    if len(document.outs) != 1:
        raise Unusable(f"{file}: meta.fairlead: got several outs, expected the one that was exported")
    (out,) = document.outs
    source = Source(folder / out.path)
    names = [path.relative_to(source.folder).as_posix() for path in source.folder.rglob("*") if path.is_file()]
    found = digest_files(read_entry(source, name) for name in names)
    if found != noted.files:
        raise Unusable(f"{file}: meta.fairlead.files: its files have the digest {found}, expected {noted.files}, "
                       f"as in the artifact {noted.uri}")  # fmt: skip
    return {"claimed": {"uri": noted.uri, "digest": noted.digest}}
