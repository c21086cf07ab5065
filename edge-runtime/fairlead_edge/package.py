"""A release in one file: all of a bundle, or what a device that has another release lacks of it.

A package is a tar archive:

    package.json        what it is: its schema, the digest of the release, and that of the release it is a patch of
    manifest.json       the release's manifest, whose SHA-256 is its digest
    signatures/<key>    its signatures
    files/<path>        each file, compressed with Zstandard; in a patch, with the other release's file as dictionary

Equal releases have equal packages. Nothing in a package is trusted: the digest or a signature is verified before a file
is decompressed, to no more bytes than the manifest says, and every file is verified before it is used.
"""

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard
from fairlead_artifacts import ArtifactError, FileEntry, Manifest, PublicKey, fetch, open_regular, verify
from fairlead_artifacts.manifest import MANIFEST_NAME, MAX_BYTES, SIGNATURES, parse_manifest
from fairlead_artifacts.signing import MAX_KEYS, read_signature
from fairlead_contracts.edge_bundle import KIND
from fairlead_contracts.errors import ContractError
from fairlead_contracts.plain import get, load_json, require

from .errors import InvalidBundle

SCHEMA = "fairlead.dev/edge-package/v1"
_HEAD, _SIGNATURES, _FILES = "package.json", "signatures/", "files/"
_MAX_HEAD, _MAX_SIGNATURE, _MAX_MEMBERS = 4096, 4096, 256
_LEVEL = 19
_SPARE = 64 << 10
"""How many bytes a compressed file may have more than the file, and half a percent."""
_MAX_WINDOW = 1 << 27
"""The memory of a decompression: 128 MiB, for patches of files that large."""


@dataclass(frozen=True)
class Head:
    """package.json."""

    digest: str
    base: str | None
    """The digest of the release that a patch needs; None for a whole release."""


def write_package(bundle: Path, out: Path, base: Path | None = None) -> None:
    """Write a package of the bundle in a folder, as a patch of another one if that is given; raise ArtifactError.

    Both folders are artifacts whose files were verified.
    """
    manifest, old = _read_manifest(bundle), _read_manifest(base) if base else None
    head = {"schema": SCHEMA, "digest": manifest.digest, "base": old.digest if old else None}
    with tarfile.open(out, "w", format=tarfile.USTAR_FORMAT) as archive:
        _add(archive, _HEAD, json.dumps(head, sort_keys=True).encode())
        _add(archive, MANIFEST_NAME, manifest.content)
        for file in sorted((bundle / SIGNATURES).glob("*")):
            _add(archive, f"{_SIGNATURES}{file.name}", file.read_bytes())
        known = {entry.path for entry in old.files} if old else set()
        for entry in manifest.files:
            other = (base / entry.path).read_bytes() if base and entry.path in known else b""
            _add(archive, f"{_FILES}{entry.path}", _compress((bundle / entry.path).read_bytes(), other))


def copy_bundle(place: str, folder: Path, keys: Sequence[PublicKey] = ()) -> Path:
    """Copy the bundle at a URI or in a folder, with the signatures of some keys; raise ArtifactError."""
    uri = place if "://" in place else Path(place).absolute().as_uri()
    manifest = fetch(uri, folder, kind=KIND)
    (folder / MANIFEST_NAME).write_bytes(manifest.content)
    (folder / SIGNATURES).mkdir()
    for key in keys:
        verify(uri, manifest.digest, [key])
        (folder / SIGNATURES / key.id).write_bytes(read_signature(uri, key) or b"")
    return folder


class Package:
    """A package that is read."""

    def __init__(self, file: BinaryIO, at: str) -> None:
        """Read what it is, and the manifest; raise InvalidBundle."""
        self._file, self._at = file, at
        self._members = _read_members(file, at)
        self.head = _parse_head(self._read(_HEAD, _MAX_HEAD), at)
        try:
            self.manifest = parse_manifest(at, self._read(MANIFEST_NAME, MAX_BYTES))
        except ArtifactError as error:
            raise InvalidBundle(str(error)) from None
        if self.manifest.digest != self.head.digest:
            raise InvalidBundle(f"{at}: {_HEAD}: digest is {self.head.digest}, expected {self.manifest.digest}")

    @classmethod
    @contextmanager
    def open(cls, file: Path) -> "Iterator[Package]":
        """Open a package; raise InvalidBundle or OSError."""
        with open_regular(file) as opened:
            yield cls(opened, str(file))

    def write_proof(self, folder: Path) -> None:
        """Write the manifest and the signatures into a folder: what has to be verified first."""
        (folder / SIGNATURES).mkdir(parents=True)
        (folder / MANIFEST_NAME).write_bytes(self.manifest.content)
        names = [name for name in self._members if name.startswith(_SIGNATURES) and name.count("/") == 1]
        for name in names[:MAX_KEYS]:
            (folder / SIGNATURES / Path(name).name).write_bytes(self._read(name, _MAX_SIGNATURE))

    def write_files(self, folder: Path, read_base: Callable[[str], bytes]) -> None:
        """Write the release's files, of which a patch needs those of its base, by path; raise InvalidBundle.

        They have the sizes that the manifest says; their content is not verified yet.
        """
        for entry in self.manifest.files:
            content = self._decompress(entry, read_base(entry.path) if self.head.base else b"")
            target = folder / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    def _decompress(self, entry: FileEntry, base: bytes) -> bytes:
        name = f"{_FILES}{entry.path}"
        compressed = self._read(name, entry.size + entry.size // 200 + _SPARE)
        dictionary = zstandard.ZstdCompressionDict(base, zstandard.DICT_TYPE_RAWCONTENT) if base else None
        reader = zstandard.ZstdDecompressor(dictionary, max_window_size=_MAX_WINDOW).stream_reader(
            io.BytesIO(compressed)
        )
        try:
            content = reader.read(entry.size + 1)
        except (zstandard.ZstdError, MemoryError) as error:
            raise InvalidBundle(f"{self._at}: {name}: is damaged: {error}") from None
        if len(content) != entry.size:
            got = f"more than {entry.size}" if len(content) > entry.size else str(len(content))
            raise InvalidBundle(f"{self._at}: {name}: got {got} bytes, expected {entry.size} as in the manifest")
        return content

    def _read(self, name: str, limit: int) -> bytes:
        member = self._members.get(name)
        if member is None or member.size > limit:
            got = "nothing" if member is None else f"{member.size} bytes"
            raise InvalidBundle(f"{self._at}: {name}: got {got}, expected a file of at most {limit}")
        self._file.seek(member.offset_data)
        content = self._file.read(member.size)
        if len(content) != member.size:
            raise InvalidBundle(f"{self._at}: {name}: ends after {len(content)} of {member.size} bytes")
        return content


def _read_members(file: BinaryIO, at: str) -> Mapping[str, tarfile.TarInfo]:
    """Read the archive's headers one by one: tarfile by itself reads others, such as long names, of any length."""
    found: dict[str, tarfile.TarInfo] = {}
    place, end = 0, file.seek(0, io.SEEK_END)
    while len(found) <= _MAX_MEMBERS:
        file.seek(place)
        block = file.read(tarfile.BLOCKSIZE)
        if not block.strip(b"\0"):  # the end
            return found
        try:
            member = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.HeaderError, ValueError) as error:
            raise InvalidBundle(f"{at}: is no package, or damaged: {error}") from None
        if member.type != tarfile.REGTYPE or member.name in found:
            raise InvalidBundle(f"{at}: {member.name!r:.100}: expected plain files alone, each once")
        member.offset_data = place + tarfile.BLOCKSIZE
        if not 0 <= member.size <= end - member.offset_data:
            raise InvalidBundle(f"{at}: {member.name!r:.100}: ends before its {member.size} bytes")
        place = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        found[member.name] = member
    raise InvalidBundle(f"{at}: got more than {_MAX_MEMBERS} files")


def _read_manifest(folder: Path) -> Manifest:
    return parse_manifest(folder.as_uri(), (folder / MANIFEST_NAME).read_bytes())


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    # no owner, no time: equal releases have equal packages
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _compress(content: bytes, base: bytes) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, source_size=len(content), dict_size=len(base), enable_ldm=bool(base),
        window_log=min(max((len(content) + len(base)).bit_length(), 10), _MAX_WINDOW.bit_length() - 1),
    )  # fmt: skip
    dictionary = zstandard.ZstdCompressionDict(base, zstandard.DICT_TYPE_RAWCONTENT) if base else None
    return zstandard.ZstdCompressor(compression_params=parameters, dict_data=dictionary).compress(content)


def _parse_head(content: bytes, at: str) -> Head:
    try:
        document = load_json(content, _MAX_HEAD, _HEAD)
        schema = get(document, "schema", str, repr(SCHEMA))
        require(schema == SCHEMA, "schema", schema, repr(SCHEMA))
        digest = get(document, "digest", str, "a digest")
        return Head(digest, get(document, "base", (str, type(None)), "a digest or null"))
    except ContractError as error:
        raise InvalidBundle(f"{at}: {_HEAD}: {error}") from None
