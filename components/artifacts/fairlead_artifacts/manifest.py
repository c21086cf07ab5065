"""The manifest of an artifact: its model, its canonical bytes and its digest."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from fairlead_contracts.errors import ContractError
from fairlead_contracts.signature import Signature

from .errors import ArtifactError
from .uri import parse_digest

SCHEMA = "fairlead.dev/artifact/v1"
MANIFEST_NAME = "manifest.json"
MAX_BYTES = 4 << 20
"""The longest manifest: about 25,000 files. The operator parses manifests that its users name."""
RESERVED = (MANIFEST_NAME, ".fairlead-writer")
SIGNATURES = ".fairlead-signatures"
"""The folder of an artifact's signatures, one file for each key; the manifest does not list them."""
KINDS = ("dataset", "validation", "model", "onnx-model", "model-card", "edge-bundle", "report", "checkpoint", "code")

JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]


@dataclass(frozen=True)
class FileEntry:
    """One file: its path below the artifact, its size in bytes and the SHA-256 of its content."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Parent:
    """An artifact that this one was derived from."""

    name: str
    digest: str
    uri: str


@dataclass(frozen=True)
class Manifest:
    """The content and provenance of an artifact."""

    kind: str
    producer: str
    files: tuple[FileEntry, ...]
    parents: tuple[Parent, ...] = ()
    parameters: Mapping[str, JsonValue] = field(default_factory=dict)
    signature: Signature | None = None

    @cached_property
    def content(self) -> bytes:
        """Return the canonical JSON: sorted keys, no spaces, UTF-8."""
        document = {
            "schema": SCHEMA,
            "kind": self.kind,
            "producer": self.producer,
            "files": [vars(file) for file in self.files],
            "parents": [vars(parent) for parent in self.parents],
            "parameters": dict(self.parameters),
            "signature": self.signature and self.signature.to_json(),
        }
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()

    @property
    def digest(self) -> str:
        """Return the artifact's digest: the SHA-256 of its manifest's bytes."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    @property
    def size(self) -> int:
        """Return the total size of all files, in bytes."""
        return sum(file.size for file in self.files)


def build_manifest(
    uri: str,
    files: Iterable[FileEntry],
    *,
    kind: str,
    producer: str,
    parents: Iterable[Parent],
    parameters: Mapping[str, JsonValue] | None,
    signature: Signature | None,
) -> Manifest:
    """Build a manifest in canonical order; raise ArtifactError for a manifest that a reader would reject."""
    manifest = Manifest(
        kind=kind,
        producer=producer,
        files=tuple(sorted(files, key=lambda file: file.path)),
        parents=tuple(sorted(parents, key=lambda parent: (parent.name, parent.digest))),
        parameters=dict(parameters or {}),
        signature=signature,
    )
    try:
        return parse_manifest(uri, manifest.content)
    except (TypeError, ValueError) as error:
        raise ArtifactError(uri, f"the manifest is not JSON: {error}") from None


def parse_manifest(uri: str, content: bytes) -> Manifest:
    """Parse a manifest's bytes; raise ArtifactError naming the field, its value and what was expected."""
    check = _Checker(uri)
    if len(content) > MAX_BYTES:
        raise ArtifactError(uri, f"{MANIFEST_NAME} is larger than {MAX_BYTES} bytes")
    try:
        document = json.loads(content, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(uri, f"{MANIFEST_NAME} is not JSON: {error}") from None
    check.require(isinstance(document, dict), "", document, "an object")
    check.require(document.get("schema") == SCHEMA, "schema", document.get("schema"), repr(SCHEMA))
    check.require(document.get("kind") in KINDS, "kind", document.get("kind"), f"one of {', '.join(KINDS)}")
    producer = check.text("producer", document.get("producer"))
    files = tuple(
        _parse_file(check, f"files[{index}]", entry) for index, entry in enumerate(check.array("files", document))
    )
    paths = {file.path for file in files}
    check.require(len(paths) == len(files), "files", "duplicate paths", "unique paths")
    folders = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
    check.require(not paths & folders, "files", "a path that is a file and a folder", "one or the other")
    parents = tuple(
        _parse_parent(check, f"parents[{index}]", entry) for index, entry in enumerate(check.array("parents", document))
    )
    parameters = document.get("parameters")
    check.require(isinstance(parameters, dict), "parameters", parameters, "an object")
    signature = _parse_signature(uri, document.get("signature"))
    manifest = Manifest(document["kind"], producer, files, parents, parameters, signature)
    # The digest is computed from the bytes: only a canonical form gives equal content an equal digest.
    check.require(_is_canonical(manifest, content), "", f"{len(content)} bytes", "canonical JSON of the known fields")
    return manifest


def _is_canonical(manifest: Manifest, content: bytes) -> bool:
    try:
        return manifest.content == content
    except (ValueError, RecursionError):  # Lone surrogates and numbers such as 1e999 have no canonical form.
        return False


def _reject_constant(name: str) -> float:
    raise ValueError(f"{name} is not valid JSON")


def check_file_path(uri: str, path: str) -> None:
    """Raise ArtifactError for a path that could leave the artifact's folder or hide its manifest."""
    if not path or not path.isprintable() or "\\" in path or path.startswith("/"):
        raise ArtifactError(uri, f"file path {path!r}: expected a relative path of printable characters")
    if any(segment in ("", ".", "..") for segment in path.split("/")):
        raise ArtifactError(uri, f"file path {path!r}: expected no segment that is empty, '.' or '..'")
    if path in RESERVED or path.split("/")[0] == SIGNATURES:
        raise ArtifactError(uri, f"file path {path!r}: this name is reserved")


def _parse_file(check: "_Checker", at: str, entry: Any) -> FileEntry:
    check.require(isinstance(entry, dict), at, entry, "an object")
    path = check.text(f"{at}.path", entry.get("path"))
    check_file_path(check.uri, path)
    check.natural(f"{at}.size", entry.get("size"))
    check.text(f"{at}.sha256", entry.get("sha256"))
    parse_digest(f"sha256:{entry.get('sha256')}", subject=f"{check.uri}: {MANIFEST_NAME} {at}.sha256")
    return FileEntry(path, entry["size"], entry["sha256"])


def _parse_parent(check: "_Checker", at: str, entry: Any) -> Parent:
    check.require(isinstance(entry, dict), at, entry, "an object")
    name, uri = check.text(f"{at}.name", entry.get("name")), check.text(f"{at}.uri", entry.get("uri"))
    parse_digest(str(entry.get("digest")), subject=f"{check.uri}: {MANIFEST_NAME} {at}.digest")
    return Parent(name, entry["digest"], uri)


def _parse_signature(uri: str, value: Any) -> Signature | None:
    try:
        return None if value is None else Signature.parse(value, "signature")
    except ContractError as error:
        raise ArtifactError(uri, f"{MANIFEST_NAME} {error}") from None


@dataclass(frozen=True)
class _Checker:
    """Checks untrusted JSON; its errors name the field, the value and what was expected."""

    uri: str

    def require(self, holds: bool, at: str, got: object, expected: str) -> None:
        if not holds:
            raise ArtifactError(self.uri, f"{MANIFEST_NAME} {at}: got {got!r:.200}, expected {expected}")

    def text(self, at: str, value: Any) -> str:
        self.require(isinstance(value, str) and value != "" and value.isprintable(), at, value, "a printable string")
        return str(value)

    def natural(self, at: str, value: Any) -> None:
        self.require(type(value) is int and value >= 0, at, value, "an integer of at least 0")

    def array(self, at: str, document: Any) -> list[Any]:
        value = document.get(at)
        self.require(isinstance(value, list), at, value, "a list")
        return list(value)
