"""A repository of DVC: where its files, cache and remotes are. What its configuration says is not trusted."""

import configparser
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fairlead_artifacts import ArtifactError, parse_uri
from fairlead_contracts.errors import shorten

from .dvc_files import read_bounded
from .errors import Unusable

_FOLDER = ".dvc"
_MAX_BYTES, _MAX_DVC_FILES = 256 << 10, 1000


@dataclass(frozen=True)
class Repository:
    """A repository; `remote` is what the caller has named, which may be anywhere."""

    root: Path
    remote: str | None = None

    @property
    def folder(self) -> Path:
        """Return the folder of its configuration."""
        return self.root / _FOLDER

    @property
    def cache(self) -> Path:
        """Return the folder of its own cache, wherever its configuration says that another one is."""
        return self.folder / "cache"

    def check_cache(self) -> None:
        """Raise Unusable if its cache is another folder than that of its own."""
        where = self._read_config().get("cache", "dir", fallback=None)
        if where is not None:
            raise Unusable(f"{self.folder / 'config'}: cache.dir: got {shorten(where)}, expected none: objects are "
                           f"added to {self.cache}")  # fmt: skip

    def find_remote(self, named: str | None, at: str) -> str | None:
        """Return the URL of the named or the default remote, or None; raise Unusable for places outside of both."""
        if self.remote is not None:
            return check_remote(self.remote, "--remote")
        config = self._read_config()
        name = named or config.get("core", "remote", fallback=None)
        if name is None:
            return None
        section = next((each for each in (f"'remote \"{name}\"'", f'remote "{name}"') if config.has_section(each)), "")
        url = config.get(section, "url", fallback=None)
        where = f"{self.folder / 'config'}: remote {shorten(name)}"
        if url is None:
            raise Unusable(f"{where}: has no url, as {at} expects")
        if urlsplit(url).scheme == "s3":
            return check_remote(url, where)
        place = Path(os.path.normpath(self.folder / url))
        if "://" in url or Path(url).is_absolute() or not place.resolve().is_relative_to(self.root.resolve()):
            expected = "s3://… or a folder in the repository; others are named with --remote"
            raise Unusable(f"{where}: got {shorten(url)}, expected {expected}")
        return str(place)

    def _read_config(self) -> configparser.ConfigParser:
        config = configparser.ConfigParser(interpolation=None, strict=False)
        for name in ("config", "config.local"):
            file = self.folder / name
            if not file.exists():
                continue
            try:
                config.read_string(read_bounded(file, _MAX_BYTES).decode())
            except (configparser.Error, UnicodeDecodeError) as error:
                raise Unusable(f"{file}: is no configuration: {' '.join(str(error).split())[:200]}") from None
        return config


def check_remote(url: str, at: str) -> str:
    """Return the URL of a bucket or the path of a folder; raise Unusable for anything else."""
    if "://" not in url:
        return str(Path(url).absolute())
    try:
        if urlsplit(url).scheme == "s3":
            return parse_uri(url).uri
    except ArtifactError as error:
        raise Unusable(f"{at}: {error}") from None
    raise Unusable(f"{at}: got {shorten(url)}, expected s3://… or a folder")


def find_repository(place: Path, remote: str | None) -> Repository:
    """Return the repository that a file or folder is in; a file alone is one with a remote, or without anything."""
    start = place.absolute()
    for folder in (start, *start.parents):
        if (folder / _FOLDER).is_dir():
            return Repository(folder, remote)
    return Repository(start if start.is_dir() else start.parent, remote)


def list_dvc_files(place: Path) -> list[Path]:
    """Return a `.dvc` file, or those of a folder and below it; raise Unusable if there is none."""
    if place.is_file():
        return [place]
    files = sorted(
        file for file in place.rglob("*.dvc")
        if file.is_file() and _FOLDER not in file.relative_to(place).parts and not _has_link(file, place)
    )  # fmt: skip
    if not 0 < len(files) <= _MAX_DVC_FILES:
        raise Unusable(f"{place}: got {len(files):,} .dvc files, expected 1 to {_MAX_DVC_FILES:,}")
    return files


def _has_link(file: Path, root: Path) -> bool:
    return any(part.is_symlink() for part in (file, *file.parents) if part != root and part.is_relative_to(root))
