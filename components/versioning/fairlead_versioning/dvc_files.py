"""The files of DVC, as far as they are read: `.dvc` files, and the lists of what is in a folder (`.dir` objects)."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml  # type: ignore[import-untyped, unused-ignore]
from fairlead_artifacts import open_regular
from fairlead_contracts.base import Contract
from fairlead_contracts.errors import ContractError, shorten
from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from .errors import Unusable

MAX_FILES = 25_000
"""As many as a manifest can list."""
DIRECTORY = ".dir"
_MAX_PATH, _MAX_SEGMENT = 1000, 255
"""In bytes; file systems have no longer names."""
_MAX_BYTES, _MAX_LIST_BYTES = 256 << 10, 16 << 20
Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class _Part(Contract):
    # its fields are in snake case
    model_config = ConfigDict(alias_generator=None)


class Exported(_Part):
    """What an export has noted of the artifact that it came from."""

    uri: str = Field(max_length=2048)
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    """The artifact's digest."""
    files: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    """The digest of the list of its files, their sizes and SHA-256."""


class _Meta(_Part):
    fairlead: Exported | None = None


class Out(_Part):
    """A file or folder that DVC tracks."""

    md5: str = Field(pattern=r"^[0-9a-f]{32}(\.dir)?$")
    hash: Literal["md5"]
    """DVC 2 has no such field, and hashes texts with other ends of lines."""
    path: str = Field(min_length=1, max_length=1000)
    size: int | None = Field(None, ge=0)
    nfiles: int | None = Field(None, ge=0)
    remote: str | None = Field(None, max_length=200)

    @property
    def directory(self) -> bool:
        """Whether it is a folder."""
        return self.md5.endswith(DIRECTORY)


class DvcFile(_Part):
    """A `.dvc` file."""

    max_bytes: ClassVar[int] = _MAX_BYTES
    wdir: str = "."
    outs: Annotated[tuple[Out, ...], Field(min_length=1, max_length=MAX_FILES, strict=False)]
    meta: _Meta = _Meta()


class Entry(_Part):
    """A file of a folder that DVC tracks."""

    md5: Md5
    relpath: str = Field(min_length=1, max_length=1000)


_ENTRIES = TypeAdapter(list[Entry])


def read_dvc_file(file: Path) -> DvcFile:
    """Read a `.dvc` file; raise Unusable, naming file and field."""
    document = read_yaml(file)
    outs = document.get("outs")
    for out in outs if isinstance(outs, list) else ():
        if isinstance(out, dict) and "md5" in out and "hash" not in out:
            raise Unusable(f"{file}: outs: was written by DVC 2; `dvc cache migrate --dvc-files` makes it DVC 3's")
    try:
        parsed = DvcFile.parse_json(json.dumps(document), "the document")
    except ContractError as error:
        raise Unusable(f"{file}: {error}") from None
    if parsed.wdir != ".":
        raise Unusable(f"{file}: wdir: got {shorten(parsed.wdir)}, expected none: paths are in the file's folder")
    for place, out in enumerate(parsed.outs):
        check_path(out.path, f"{file}: outs[{place}].path")
    return parsed


def read_yaml(file: Path) -> Mapping[str, Any]:
    """Read a YAML file of strings, integers, lists and objects; raise Unusable."""
    content = read_bounded(file, _MAX_BYTES)
    try:
        document = yaml.load(content, _Loader)  # a safe loader
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise Unusable(f"{file}: is not YAML: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(document, dict):
        raise Unusable(f"{file}: got {shorten(document)}, expected an object with outs")
    return document


def read_directory(file: Path, at: str) -> list[Entry]:
    """Read a `.dir` object, named `at` in errors; raise Unusable for paths that leave the folder."""
    content = read_bounded(file, _MAX_LIST_BYTES)
    try:
        entries = _ENTRIES.validate_python(json.loads(content))
    except (ValidationError, ValueError, RecursionError) as error:
        raise Unusable(f"{at}: is no list of files: {' '.join(str(error).split())[:200]}") from None
    if len(entries) > MAX_FILES:
        raise Unusable(f"{at}: got {len(entries):,} files, expected at most {MAX_FILES:,}")
    seen = set[str]()
    for entry in entries:
        check_path(entry.relpath, f"{at}: relpath")
        if entry.relpath in seen:
            raise Unusable(f"{at}: relpath: got {shorten(entry.relpath)} twice, expected each once")
        seen.add(entry.relpath)
    return entries


def read_bounded(file: Path, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes; raise Unusable."""
    try:
        with open_regular(file) as opened:
            content = opened.read(limit + 1)
    except OSError as error:
        raise Unusable(f"{file}: {error.strerror}, expected a file") from None
    if len(content) > limit:
        raise Unusable(f"{file}: got more than {limit} bytes")
    return content


def check_path(path: str, at: str) -> None:
    """Raise Unusable for a path that could leave its folder."""
    if path.startswith("/") or "\\" in path or not path.isprintable() or ":" in path.split("/")[0]:
        raise Unusable(f"{at}: got {shorten(path)}, expected a relative path")
    if any(segment in ("", ".", "..") for segment in path.split("/")):
        raise Unusable(f"{at}: got {shorten(path)}, expected a path inside of its folder")
    if len(path.encode()) > _MAX_PATH or any(len(segment.encode()) > _MAX_SEGMENT for segment in path.split("/")):
        raise Unusable(f"{at}: got {shorten(path)}, expected at most {_MAX_PATH} bytes, and {_MAX_SEGMENT} a segment")


class _Loader(yaml.SafeLoader):  # type: ignore[misc, unused-ignore]
    """Loads strings, integers, lists and objects, and nothing that could be large or of another type."""

    # all plain text is a string but short decimal integers, so that no date, float or huge number is made
    yaml_implicit_resolvers: ClassVar = {
        digit: [("tag:yaml.org,2002:int", re.compile(r"(0|[1-9][0-9]{0,17})\Z"))] for digit in "0123456789"
    }

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Reject an alias, which could make a small file large, and a tag."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("has an alias (*name), expected none")
        if getattr(self.peek_event(), "tag", None) is not None:
            raise yaml.YAMLError("has a tag (!name), expected none")
        return super().compose_node(parent, index)
