"""Collects the files of what DVC tracks: finds objects, and checks names, number and size before any is copied."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .dvc_files import MAX_FILES, Entry, Out
from .errors import Unusable
from .objects import Find, in_cache, list_entries, require
from .remotes import fetch_objects
from .repository import Repository


@dataclass(frozen=True)
class Tracked:
    """An out, the folder of its `.dvc` file below the artifact's, and its name in errors."""

    out: Out
    below: PurePosixPath
    at: str


@dataclass(frozen=True)
class Collected:
    """An out with its files."""

    tracked: Tracked
    entries: Sequence[Entry]


def collect(
    tracked: Sequence[Tracked], repository: Repository, work: Path, max_bytes: int
) -> tuple[list[Collected], Find]:
    """Return the files of all outs and how their objects are found; raise Unusable or RemoteUnavailable."""
    _check_bytes(sum(each.out.size or 0 for each in tracked), max_bytes)  # before anything is fetched
    finds = [in_cache(repository.cache)]
    lacking: dict[str, list[Tracked]] = {}
    for each, complete in zip(tracked, _find_complete(tracked, finds[0]), strict=True):
        url = None if complete else repository.find_remote(each.out.remote, each.at)
        if url is not None:
            lacking.setdefault(url, []).append(each)
    for number, (url, lacked) in enumerate(lacking.items()):
        finds.append(fetch_objects(url, [each.out for each in lacked], work / str(number)))

    def find(md5: str) -> Path | None:
        return next((file for each in finds if (file := each(md5)) is not None), None)

    collected = _list_all(tracked, find)
    _check_paths(collected)
    sizes = (require(find, entry.md5, f"{each.tracked.at}: {entry.relpath}").stat().st_size
             for each in collected for entry in each.entries)  # fmt: skip
    _check_bytes(sum(sizes), max_bytes)
    return collected, find


def _find_complete(tracked: Sequence[Tracked], find: Find) -> list[bool]:
    """Return whether all objects of an out are found, for each out."""
    known = [each for each in tracked if find(each.out.md5) is not None]
    entries = {each.tracked.at: each.entries for each in _list_all(known, find)}
    return [each.at in entries and all(find(entry.md5) for entry in entries[each.at]) for each in tracked]


def _list_all(tracked: Iterable[Tracked], find: Find) -> list[Collected]:
    collected, total = list[Collected](), 0
    for each in tracked:
        entries = list_entries(each.out, find, each.at)
        total += len(entries)
        if total > MAX_FILES:
            raise Unusable(f"{each.at}: got {total:,} files so far, expected at most {MAX_FILES:,} in an artifact")
        collected.append(Collected(each, entries))
    return collected


def _check_paths(collected: Iterable[Collected]) -> None:
    """Raise Unusable for a path that is there twice, or is a file and a folder."""
    places = dict[PurePosixPath, str]()
    for each in collected:
        for entry in each.entries:
            path, at = each.tracked.below / entry.relpath, f"{each.tracked.at}: {entry.relpath}"
            if path in places:
                raise Unusable(f"{at}: is there twice, expected each path once")
            places[path] = at
    for path, at in places.items():
        for folder in path.parents:
            if folder in places:
                raise Unusable(f"{at}: expected a folder, but it is a file: {places[folder]}")


def _check_bytes(size: int, limit: int) -> None:
    if size > limit:
        raise Unusable(f"got {size:,} bytes of files, expected at most {limit:,} (--max-bytes)")
