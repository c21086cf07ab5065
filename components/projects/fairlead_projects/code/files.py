"""The files of a code folder that a job needs: not what .gitignore names, hidden files, caches or environments."""

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fairlead.cli.console import CommandError
from pathspec import GitIgnoreSpec

CACHES = ("__pycache__", "node_modules")
MAX_FILES = 10_000
_IGNORE, _ENVIRONMENT = ".gitignore", "pyvenv.cfg"
_MAX_IGNORE = 1 << 20


@dataclass(frozen=True)
class CodeFiles:
    """A folder and the files of it to bring, in order."""

    root: Path
    paths: tuple[str, ...]
    size: int
    """Bytes of all files."""
    left_out: int = 0
    """How many files and folders are not brought."""
    revision: str | None = None
    """The git commit that the files are from; None for a folder as it is."""


@dataclass(frozen=True)
class _Rules:
    """A .gitignore: it holds for paths below its folder, which is in the code's folder or above it."""

    prefix: str
    """Its folder below the code's."""
    spec: GitIgnoreSpec
    above: str = ""
    """The code's folder below its folder."""

    def decide(self, path: str) -> bool | None:
        """Return whether a path is excluded; None if no pattern matches it."""
        return self.spec.check_file(self.above + path.removeprefix(self.prefix)).include


def find_files(folder: Path) -> CodeFiles:
    """Return the files of a folder; raises CommandError for links that lead out of it, pipes, and too many files."""
    if not folder.is_dir():
        raise CommandError(f"{folder}: is no folder, expected the folder with the code")
    root, left_out, size, paths = Path(os.path.realpath(folder)), [0], 0, []
    for path, length in _walk(root, "", _read_rules_above(root), left_out):
        paths.append(path)
        size += length
        if len(paths) > MAX_FILES:
            raise CommandError(f"{root}: more than {MAX_FILES:,} files; name in .gitignore what the job does not need")
    if not paths:
        raise CommandError(f"{root}: contains no files to bring, expected the code")
    return CodeFiles(root, tuple(paths), size, left_out[0])


def extract_revision(folder: Path, revision: str, target: Path) -> CodeFiles:
    """Write the files of a git revision of a folder to an empty folder and return them; raises CommandError."""
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    sha = commit.decode().strip()
    with tempfile.TemporaryFile(dir=target.parent) as content:  # a repository may be larger than the memory
        _git(folder, "archive", "--format=tar", sha, output=content)
        content.seek(0)
        with tarfile.open(fileobj=content) as archive:
            _extract(archive, target)
    found = find_files(target)
    return CodeFiles(found.root, found.paths, found.size, found.left_out, sha)


def _extract(archive: tarfile.TarFile, target: Path) -> None:
    """Write an archive's files and links; nothing is written through a link, or outside of the folder.

    The filters of `extractall` do the same, and are missing in the Python of Debian 12.
    """
    target.mkdir()
    links = []
    for member in archive:
        place = target / member.name
        if ".." in place.parts or not place.is_relative_to(target):
            raise CommandError(f"the revision has the path {member.name!r}, expected one below the folder")
        if member.issym():
            links.append((place, member.linkname))
        elif content := archive.extractfile(member) if member.isreg() else None:
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as file:
                shutil.copyfileobj(content, file)
            place.chmod(0o755 if member.mode & 0o100 else 0o644)
    for place, link in links:
        if not place.parent.resolve().is_relative_to(target.resolve()):
            raise CommandError(f"the revision has the path {str(place.relative_to(target))!r} behind a link")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(link)


def _git(folder: Path, *words: str, output: IO[bytes] | int = subprocess.PIPE) -> bytes:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], stdout=output, stderr=subprocess.PIPE, check=False
        )  # fmt: skip
    except FileNotFoundError:
        raise CommandError("--revision: git is not installed, expected it on PATH") from None
    if done.returncode:
        problem = done.stderr.decode(errors="replace").strip() or "no such revision"
        raise CommandError(f"{folder}: git {words[0]}: {problem}")
    return done.stdout or b""


def _walk(root: Path, prefix: str, rules: Sequence[_Rules], left_out: list[int]) -> Iterator[tuple[str, int]]:
    rules = (*_read_rules(root, prefix), *rules)
    for entry in sorted(os.scandir(root / prefix), key=lambda entry: entry.name):
        path, is_folder = f"{prefix}{entry.name}", entry.is_dir(follow_symlinks=False)
        if _is_left_out(entry) or _is_ignored(rules, f"{path}/" if is_folder else path):
            left_out[0] += 1
        elif is_folder:
            yield from _walk(root, f"{path}/", rules, left_out)
        else:
            yield path, _check_file(root, path)


def _is_left_out(entry: "os.DirEntry[str]") -> bool:
    if entry.name.startswith(".") or entry.name in CACHES or entry.name.endswith(".pyc"):
        return True
    return Path(entry.path, _ENVIRONMENT).is_file()  # a virtual environment


def _read_rules_above(root: Path) -> list[_Rules]:
    """Return the .gitignore files between a folder and the top of its repository, the nearest first."""
    found: list[_Rules] = []
    inner = root
    while not (inner / ".git").exists():
        if inner == inner.parent:
            return []  # in no repository
        inner = inner.parent
        above = f"{root.relative_to(inner).as_posix()}/"
        found += [_Rules("", rule.spec, above) for rule in _read_rules(inner, "")]
    # a folder that is itself ignored, but asked for: what is in it is not decided above
    return [] if _is_ignored(found, "") else found


def _read_rules(root: Path, prefix: str) -> list[_Rules]:
    file = root / prefix / _IGNORE
    if not file.is_file() or file.is_symlink():  # git does not follow links either
        return []
    if file.stat().st_size > _MAX_IGNORE:
        raise CommandError(f"{file}: {file.stat().st_size:,} bytes, expected at most {_MAX_IGNORE:,}")
    try:
        return [_Rules(prefix, GitIgnoreSpec.from_lines(file.read_text().splitlines()))]
    except ValueError as error:  # of a pattern, or of the encoding
        raise CommandError(f"{file}: {error}") from None


def _is_ignored(rules: Sequence[_Rules], path: str) -> bool:
    """Return whether the nearest .gitignore that has a pattern for a path excludes it."""
    for rule in rules:
        if (decided := rule.decide(path)) is not None:
            return decided
    return False


def _check_file(root: Path, path: str) -> int:
    """Return a file's size; a link within the folder counts as the file that it points to."""
    if not path.isprintable():
        raise CommandError(f"{root}: got the file name {path!r}, expected printable characters")
    target = Path(os.path.realpath(root / path))
    if not target.is_relative_to(root):
        raise CommandError(f"{root / path}: is a link to {target}, which is outside the folder; copy the file instead")
    if not target.is_file():
        found = "a link to a folder or to nothing" if (root / path).is_symlink() else "a pipe, a socket or a device"
        raise CommandError(f"{root / path}: is {found}, expected files and folders; or name it in .gitignore")
    return target.stat().st_size
