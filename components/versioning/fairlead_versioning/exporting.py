"""Export an artifact: its files, checked by their SHA-256, are added by DVC, whose MD5s are checked, at a new path."""

import sys
import tempfile
from pathlib import Path

import yaml  # type: ignore[import-untyped, unused-ignore]
from fairlead_artifacts import Manifest, fetch

from .dvc_command import DvcFailed
from .dvc_files import check_path, read_dvc_file, read_yaml
from .errors import RemoteUnavailable, Unusable
from .importing import digest_files
from .objects import hash_file, in_cache, list_entries
from .own_repository import OwnRepository
from .placing import put_in_place
from .repository import Repository

_RESERVED = (".dvc", ".git")
_PREFIX = "fairlead-"


def export(uri: str, digest: str | None, repository: Repository, path: str, push: bool) -> Manifest:
    """Add an artifact's files as the new folder `path` of a repository, and push their objects before if told so.

    Raises Unusable, RemoteUnavailable, ArtifactError or OSError; then the repository has at most more objects in its
    cache.
    """
    target = _check_target(repository, path)
    url = _find_remote(repository) if push else None
    _report_leftovers(repository)
    # on the same file system, so that what is complete can be renamed into its place
    with tempfile.TemporaryDirectory(dir=repository.folder, prefix=_PREFIX) as temporary:
        # in a repository of our own: another's configuration, stages and links have no effect
        ours = OwnRepository(Path(temporary, "work"), repository.cache, url)
        made = ours.folder / target.name
        manifest = fetch(uri, made, digest)
        file = _add(ours, made, manifest, uri)
        if url is not None:
            _push(ours, file, url)
        put_in_place(made, file.read_bytes(), target, Path(temporary))
    return manifest


def _check_target(repository: Repository, path: str) -> Path:
    check_path(path, "--path")
    check_path(f"{path}.dvc", "--path")
    root, target = repository.root, repository.root / path
    check_path(target.name, "--path")
    if any(segment.startswith(_RESERVED) for segment in path.split("/")):
        raise Unusable(f"--path: got {path}, expected a folder for data")
    if not repository.folder.is_dir():
        raise Unusable(f"{root}: has no .dvc, expected a repository of DVC")
    repository.check_cache()
    for part in target.parents[: path.count("/")]:
        if part.is_symlink() or (part.exists() and not part.is_dir()):
            raise Unusable(f"{part}: is a link or a file, expected a folder of the repository")
        if part.with_name(f"{part.name}.dvc").exists():
            raise Unusable(f"{part}: is tracked by DVC, expected a path outside of what it tracks")
    for place in (target, target.with_name(f"{target.name}.dvc")):
        if place.is_symlink() or place.exists():
            raise Unusable(f"{place}: is there, expected a new path: an export replaces nothing")
    return target


def _find_remote(repository: Repository) -> str:
    url = repository.find_remote(None, "--push")
    if url is None:
        raise Unusable(f"{repository.folder / 'config'}: has no default remote, as --push expects")
    return url


def _report_leftovers(repository: Repository) -> None:
    for folder in sorted(repository.folder.glob(f"{_PREFIX}*")):
        sys.stderr.write(f"fairlead-versioning: {folder}: is of an export that is running, or was ended: then it "
                         "may be deleted, after a look at what is in it\n")  # fmt: skip


def _add(ours: OwnRepository, made: Path, manifest: Manifest, uri: str) -> Path:
    """Add the folder and return its `.dvc` file, with the artifact noted in it."""
    try:
        ours.run("add", "--", made.name)
    except DvcFailed as error:
        raise Unusable(str(error)) from None
    file = made.with_name(f"{made.name}.dvc")
    (out,) = read_dvc_file(file).outs
    listed = {entry.relpath.removeprefix(f"{out.path}/"): entry.md5
              for entry in list_entries(out, in_cache(ours.cache), str(file))}  # fmt: skip
    found = {entry.path: hash_file(made / entry.path) for entry in manifest.files}
    if listed != found:
        wrong = sorted(name for name in listed.keys() | found.keys() if listed.get(name) != found.get(name))
        raise Unusable(f"{file.name}: DVC has other objects than the artifact has files: {', '.join(wrong[:10])}")
    noted = {"uri": uri, "digest": manifest.digest, "files": digest_files(manifest.files)}
    # DVC keeps `meta` as it is, and ignores it
    document = dict(read_yaml(file)) | {"meta": {"fairlead": noted}}
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    return file


def _push(ours: OwnRepository, file: Path, url: str) -> None:
    try:
        ours.run("push", "--", file.name)
    except DvcFailed as error:
        raise RemoteUnavailable(f"{url}: {error}") from None
