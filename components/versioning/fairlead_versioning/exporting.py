"""Export an artifact: its files, checked by their SHA-256, are added to a repository by DVC, whose MD5s are checked."""

import shutil
import tempfile
from pathlib import Path

import yaml  # type: ignore[import-untyped, unused-ignore]
from fairlead_artifacts import Manifest, fetch

from .dvc_command import DvcFailed, run_dvc
from .dvc_files import check_path, read_dvc_file, read_yaml
from .errors import RemoteUnavailable, Unusable
from .importing import digest_files
from .objects import hash_file, in_cache, list_entries

_RESERVED = (".dvc", ".git")


def export(uri: str, digest: str | None, repository: Path, path: str, push: bool) -> Manifest:
    """Add an artifact's files as the folder `path` of a repository, in place of what is there and tracked by DVC.

    Raises Unusable, RemoteUnavailable or ArtifactError; then the repository is as it was.
    """
    check_path(path, "--path")
    if path.split("/")[0] in _RESERVED:
        raise Unusable(f"--path: got {path}, expected a folder for data")
    if not (repository / ".dvc").is_dir():
        raise Unusable(f"{repository}: has no .dvc, expected a repository of DVC")
    target, tracked = repository / path, repository / f"{path}.dvc"
    for part in (target, *target.parents[: path.count("/") + 1]):
        if part.is_symlink() and part != repository:
            raise Unusable(f"{part}: is a link, expected a folder of the repository")
    if target.exists() and not tracked.is_file():
        raise Unusable(f"{target}: is there and not tracked by DVC, expected nothing or what DVC tracks")
    # on the same file system, so that what is complete can be renamed into its place
    with tempfile.TemporaryDirectory(dir=repository / ".dvc", prefix="fairlead-") as temporary:
        new, old = Path(temporary, "new"), Path(temporary, "old")
        manifest = fetch(uri, new, digest)
        old.mkdir()
        before = _set_aside([target, tracked, target.parent / ".gitignore"], old)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            new.rename(target)
            _add(repository, path, manifest, uri)
        except BaseException:
            _restore(before, target, tracked)
            raise
    if push:
        _push(repository, path)
    return manifest


def _set_aside(places: list[Path], old: Path) -> dict[Path, Path | None]:
    """Keep what is there: the folder is moved, and DVC may change the files."""
    kept: dict[Path, Path | None] = {}
    for number, place in enumerate(places):
        copy = old / str(number)
        if place.is_dir():
            place.rename(copy)
        elif place.exists():
            shutil.copy2(place, copy)
        kept[place] = copy if copy.exists() else None
    return kept


def _restore(before: dict[Path, Path | None], target: Path, tracked: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    tracked.unlink(missing_ok=True)
    for place, copy in before.items():
        if copy is None:
            place.unlink(missing_ok=True)
        elif copy.is_dir():
            copy.rename(place)
        else:
            shutil.copy2(copy, place)


def _add(repository: Path, path: str, manifest: Manifest, uri: str) -> None:
    try:
        run_dvc(repository, "add", "--quiet", path)
    except DvcFailed as error:
        raise Unusable(f"{repository}: {error}") from None
    file = repository / f"{path}.dvc"
    (out,) = read_dvc_file(file).outs
    listed = {entry.relpath.removeprefix(f"{out.path}/"): entry.md5
              for entry in list_entries(out, in_cache(repository / ".dvc" / "cache"), str(file))}  # fmt: skip
    found = {entry.path: hash_file(repository / path / entry.path) for entry in manifest.files}
    if listed != found:
        wrong = sorted(name for name in listed.keys() | found.keys() if listed.get(name) != found.get(name))
        raise Unusable(f"{file}: DVC has other objects than the artifact has files: {', '.join(wrong[:10])}")
    noted = {"uri": uri, "digest": manifest.digest, "files": digest_files(manifest.files)}
    document = dict(read_yaml(file))
    meta = document.get("meta")
    # DVC keeps `meta` as it is, and ignores it
    document["meta"] = (dict(meta) if isinstance(meta, dict) else {}) | {"fairlead": noted}
    file.write_text(yaml.safe_dump(document, sort_keys=False))


def _push(repository: Path, path: str) -> None:
    try:
        run_dvc(repository, "push", "--quiet", f"{path}.dvc")
    except DvcFailed as error:
        raise RemoteUnavailable(f"{repository}: {error}") from None
