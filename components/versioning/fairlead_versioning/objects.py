"""Objects of DVC's cache, named by their MD5, which is checked before anything is made of them."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from fairlead_artifacts import open_regular

from .dvc_files import DIRECTORY, Entry, Out, read_directory
from .errors import Unusable

Find = Callable[[str], Path | None]
"""Returns the file of an object, by its MD5 (with `.dir` for a folder's list), or None."""
_CHUNK = 1 << 20


def in_cache(cache: Path) -> Find:
    """Return how objects are found in a folder as DVC 3 lays it out."""

    def find(md5: str) -> Path | None:
        file = cache / "files" / "md5" / md5[:2] / md5[2:]
        return file if file.exists() else None

    return find


def list_entries(out: Out, find: Find, at: str) -> list[Entry]:
    """Return the files of an out with their paths below the `.dvc` file's folder; raise Unusable."""
    if not out.directory:
        return [Entry(md5=out.md5, relpath=out.path)]
    file = require(find, out.md5, at)
    name = f"{at}: the object {out.md5}"
    with _open(file, name) as opened:
        found = _digest(opened)
    if found != out.md5.removesuffix(DIRECTORY):
        raise Unusable(f"{name}: its MD5 is {found}, expected {out.md5.removesuffix(DIRECTORY)}")
    entries = read_directory(file, name)
    if out.nfiles is not None and out.nfiles != len(entries):
        raise Unusable(f"{name}: has {len(entries):,} files, expected {out.nfiles:,}")
    return [Entry(md5=entry.md5, relpath=f"{out.path}/{entry.relpath}") for entry in entries]


def copy_out(out: Out, entries: Iterable[Entry], find: Find, folder: Path, at: str) -> None:
    """Copy an out's files into a folder; raise Unusable unless each has its MD5, and all have the size."""
    size = 0
    for entry in entries:
        name = f"{at}: {entry.relpath}"
        size += _copy(require(find, entry.md5, name), folder / entry.relpath, entry.md5, name)
    if out.size is not None and out.size != size:
        raise Unusable(f"{at}: {out.path}: got {size:,} bytes, expected {out.size:,}")


def hash_file(file: Path) -> str:
    """Return the MD5 of a file."""
    with open_regular(file) as opened:
        return _digest(opened)


def require(find: Find, md5: str, at: str) -> Path:
    """Return the file of an object; raise Unusable, naming `at`, if there is none."""
    file = find(md5)
    if file is None:
        raise Unusable(f"{at}: the object {md5} is neither in the cache nor in the remote")
    return file


def _copy(source: Path, target: Path, md5: str, at: str) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = _new_md5(), 0
    with _open(source, at) as opened, target.open("xb") as copy:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
            size += copy.write(chunk)
    if digest.hexdigest() != md5:
        raise Unusable(f"{at}: its object has {size:,} bytes with the MD5 {digest.hexdigest()}, expected {md5}")
    return size


def _open(file: Path, at: str) -> BinaryIO:
    try:
        return open_regular(file)
    except OSError as error:
        raise Unusable(f"{at}: its object cannot be read: {error.strerror}") from None


def _digest(opened: BinaryIO) -> str:
    digest = _new_md5()
    while chunk := opened.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _new_md5() -> "hashlib._Hash":
    # it names objects, as DVC wants it; what protects them is the SHA-256 of our manifest
    return hashlib.md5(usedforsecurity=False)
