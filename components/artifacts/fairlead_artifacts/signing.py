"""Signatures: Ed25519 over an artifact's digest, each stored beside the manifest under the name of its key.

A manifest proves that an artifact is whole, a digest that it is the one that was meant. A signature says who vouches
for it: a pod that can write to the store cannot make one without the key. Keys are PEM files, as `openssl genpkey
-algorithm ed25519` and `openssl pkey -pubout` write them. https://www.rfc-editor.org/rfc/rfc8032
"""

import base64
import binascii
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from .errors import ArtifactError, StoreUnavailable
from .manifest import SIGNATURES
from .stores import Store, open_store
from .uri import Location, parse_digest, parse_uri

KEY_FILE = "FAIRLEAD_SIGNING_KEY_FILE"
"""The variable that names the private key with which `publish` signs."""
MAX_KEYS, MAX_KEY_BYTES = 16, 4096
_MAX_SIGNATURE_BYTES = 4096
_SCHEMA = "fairlead.dev/signature/v1"


class NotSigned(ArtifactError):
    """An artifact has no signature of a key that is trusted."""


@dataclass(frozen=True)
class PublicKey:
    """A key that verifies signatures."""

    id: str
    """The first 16 hexadecimal digits of the SHA-256 of its 32 bytes."""
    key: Any = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str, at: str) -> "PublicKey":
        """Parse a PEM public key; raise ArtifactError whose subject is `at`."""
        crypto = _load(at)
        try:
            key = crypto.load_pem_public_key(text.encode())
        except (ValueError, crypto.UnsupportedAlgorithm):
            key = None
        if not isinstance(key, crypto.Ed25519PublicKey):
            raise ArtifactError(at, "expected an Ed25519 public key in PEM (-----BEGIN PUBLIC KEY-----)")
        return cls(_name(key), key)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "PublicKey":
        """Read a key's file; raise ArtifactError."""
        return cls.parse(_read_file(path).decode("ascii", "replace"), str(path))


class SigningKey:
    """A key that makes signatures."""

    def __init__(self, text: bytes, at: str) -> None:
        """Parse a PEM private key without a passphrase; raise ArtifactError whose subject is `at`."""
        crypto = _load(at)
        try:
            key = crypto.load_pem_private_key(text, password=None)
        except (ValueError, TypeError, crypto.UnsupportedAlgorithm):
            key = None
        if not isinstance(key, crypto.Ed25519PrivateKey):
            raise ArtifactError(at, "expected an Ed25519 private key in PEM without a passphrase")
        self._key = key
        self.id = _name(key.public_key())

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "SigningKey":
        """Read a key's file; raise ArtifactError."""
        return cls(_read_file(path), str(path))

    @classmethod
    def from_environment(cls) -> "SigningKey | None":
        """Return the key that the environment names, or None; raise ArtifactError."""
        path = os.environ.get(KEY_FILE)
        return cls.read(path) if path else None

    def sign(self, digest: str) -> bytes:
        """Return the document that signs an artifact's digest."""
        signature = base64.b64encode(self._key.sign(_message(digest))).decode()
        document = {"schema": _SCHEMA, "digest": digest, "key": self.id, "signature": signature}
        return json.dumps(document, sort_keys=True).encode()


def make_keys(folder: Path) -> tuple[Path, Path]:
    """Write a new private key, which only its owner can read, and its public key; raise ArtifactError."""
    crypto = _load(str(folder))
    key = crypto.Ed25519PrivateKey.generate()
    private = key.private_bytes(crypto.Encoding.PEM, crypto.PrivateFormat.PKCS8, crypto.NoEncryption())
    public = key.public_key().public_bytes(crypto.Encoding.PEM, crypto.PublicFormat.SubjectPublicKeyInfo)
    paths = folder / "signing.key", folder / "signing.pub"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content, mode in zip(paths, (private, public), (0o600, 0o644), strict=True):
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(content)
    except OSError as error:
        raise ArtifactError(str(error.filename or folder), f"{error.strerror}; expected a place for new keys") from None
    return paths


def sign(uri: str, digest: str, key: SigningKey) -> None:
    """Store a key's signature of the artifact with this digest; the same key's earlier one is replaced."""
    location = parse_uri(uri)
    open_store(location).write_beside(location, f"{SIGNATURES}/{key.id}", key.sign(digest))


def verify(uri: str, digest: str, keys: Sequence[PublicKey]) -> str:
    """Return the id of the first key that has signed the artifact with this digest; raise NotSigned if none has.

    A store that does not answer raises StoreUnavailable. What is in the store is never trusted: a signature that is not
    valid counts as none.
    """
    location = parse_uri(uri)
    store = open_store(location)
    parse_digest(digest)
    found = []
    for key in keys[:MAX_KEYS]:
        try:
            content = _read_signature(store, location, key)
            problem = "has no signature" if content is None else _find_problem(content, digest, key)
        except StoreUnavailable:
            raise
        except ArtifactError:  # a link or a folder, say
            problem = "has no readable signature"
        if problem is None:
            return key.id
        found.append(f"{key.id} {problem}")
    raise NotSigned(location.uri, f"{digest}: {', '.join(found) or 'no key is trusted'}; expected a signature")


def read_signature(uri: str, key: PublicKey) -> bytes | None:
    """Return the document of a key's signature of an artifact, for a copy of it; None if there is none."""
    location = parse_uri(uri)
    return _read_signature(open_store(location), location, key)


def _read_signature(store: Store, location: Location, key: PublicKey) -> bytes | None:
    return store.read_beside(location, f"{SIGNATURES}/{key.id}", _MAX_SIGNATURE_BYTES)


def _find_problem(content: bytes, digest: str, key: PublicKey) -> str | None:
    """Return what is wrong with a signature, or None."""
    crypto = _load(key.id)
    try:
        document = json.loads(content)
        signature = base64.b64decode(document["signature"], validate=True)
        signed = document["digest"]
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        return "has no readable signature"
    if signed != digest:
        return "has signed another digest"
    try:
        key.key.verify(signature, _message(digest))
    except crypto.InvalidSignature:
        return "has not made this signature"
    return None


def _message(digest: str) -> bytes:
    """Return what is signed: it begins with what it is for, so that no signature for another purpose fits."""
    return f"{_SCHEMA}\n{digest}".encode()


def _name(public: Any) -> str:
    return sha256(public.public_bytes_raw()).hexdigest()[:16]


def _read_file(path: str | os.PathLike[str]) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_KEY_BYTES + 1)
    except OSError as error:
        raise ArtifactError(str(path), f"{error.strerror}; expected a key") from None


def _load(at: str) -> Any:
    """Return what is needed of `cryptography`, which programs that do not sign do without; raise ArtifactError."""
    try:
        from . import ed25519
    except ImportError:
        problem = "signatures need the package `cryptography` (fairlead-artifacts[signing])"
        raise ArtifactError(at, problem) from None
    return ed25519
