"""API keys in a file, or in a folder of files as the kubelet mounts a Secret; one a line, so that they rotate.

What is said of a key, in errors and logs, is the line that it is in, and never the key.
"""

import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairlead_contracts.environment import GraphServerEnvironment

from ..errors import InvalidGraph

_log = logging.getLogger(__name__)
VARIABLE = GraphServerEnvironment.variable("api_keys_file")
MIN_CHARACTERS, MAX_CHARACTERS = 16, 512
MAX_BYTES, MAX_FILES, MAX_KEYS = 64 << 10, 64, 256
"""Bounds of all files together."""
_PAUSE_SECONDS = 1.0
"""How often the files are read again, at most: as long, a key that was removed is still known."""


class InvalidKeys(Exception):
    """The files cannot be read, or are larger, or more, than is allowed."""


@dataclass(frozen=True, repr=False)
class KeyFiles:
    """What the files contain."""

    keys: tuple[bytes, ...]
    problems: tuple[str, ...] = ()
    """What is wrong with each other line, or that there are no keys."""


class ApiKeys:
    """The keys in force, as digests. Files that change are read again when the keys are asked for."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the keys; raise InvalidGraph if there are none, or if a line is invalid."""
        self._path, self._clock = path, clock
        self._salt = secrets.token_bytes(32)
        self._complaints: Sequence[str] = ()
        self._read_at = clock()
        try:
            found = read_keys(path)
        except InvalidKeys as error:
            raise InvalidGraph(VARIABLE, str(error)) from None
        if found.problems:
            raise InvalidGraph(VARIABLE, found.problems[0])
        self._digests = self._digest_all(found)

    def __len__(self) -> int:
        """Return how many keys are in force, which says who waits for a change if it has come."""
        self._refresh()
        return len(self._digests)

    def match(self, key: bytes) -> bool:
        """Return True if a key is in force. How long that takes does not depend on the keys."""
        self._refresh()
        digest, found = self._digest(key), False
        for known in self._digests:
            found |= hmac.compare_digest(digest, known)
        return found

    def _refresh(self) -> None:
        """Read the files again if that is due. Without readable ones, the keys stay; invalid lines are only logged.

        A key that was removed counts no longer, even if the same change has broken another line.
        """
        now = self._clock()
        if now - self._read_at < _PAUSE_SECONDS:
            return
        self._read_at = now
        try:
            found = read_keys(self._path)
        except InvalidKeys as error:
            self._complain((f"{error}; the keys before stay in force",))
            return
        self._complain(found.problems)
        digests = self._digest_all(found)
        if digests != self._digests:
            self._digests = digests
            _log.info("the API keys have changed", extra={"keys": len(digests)})

    def _complain(self, problems: Sequence[str]) -> None:
        """Log problems, once for as long as they are the same."""
        if problems != self._complaints:
            self._complaints = problems
            for problem in problems:
                _log.error("an API key is not used", extra={"reason": problem})

    def _digest_all(self, found: KeyFiles) -> tuple[bytes, ...]:
        return tuple(self._digest(key) for key in found.keys)

    def _digest(self, key: bytes) -> bytes:
        return hashlib.sha256(self._salt + key).digest()


def read_keys(path: Path) -> KeyFiles:
    """Return the keys of a file or a folder's files; raise InvalidKeys."""
    try:
        return _read_all(path)
    except OSError as error:
        raise InvalidKeys(f"{path}: cannot be read: {error.strerror}") from None


def _read_all(path: Path) -> KeyFiles:
    keys: dict[bytes, None] = {}
    problems: list[str] = []
    left = MAX_BYTES
    for file in _list_files(path):
        with file.open("rb") as stream:
            content = stream.read(left + 1)
        left -= len(content)
        if left < 0:
            raise InvalidKeys(f"{path}: got more bytes, expected at most {MAX_BYTES}")
        for number, line in _list_lines(content):
            if problem := _check_key(line):
                problems.append(f"{file}: line {number}: {problem}")
            else:
                keys[line] = None
    if len(keys) > MAX_KEYS:
        raise InvalidKeys(f"{path}: got {len(keys)} keys, expected at most {MAX_KEYS}")
    if not keys:
        problems.append(f"{path}: got no keys, expected at least one")
    return KeyFiles(tuple(keys), tuple(problems))


def _list_files(path: Path) -> list[Path]:
    """Return the files; those whose names begin with a dot are the kubelet's own."""
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if not file.name.startswith(".") and file.is_file())
    if len(files) > MAX_FILES:
        raise InvalidKeys(f"{path}: got {len(files)} files, expected at most {MAX_FILES}")
    return files


def _list_lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each line that is neither blank nor a comment, with its number."""
    for number, line in enumerate(content.split(b"\n"), 1):
        if (stripped := line.strip()) and not stripped.startswith(b"#"):
            yield number, stripped


def _check_key(key: bytes) -> str | None:
    """Return why a line is no key; it may be a secret, so that no part of it is said."""
    if not MIN_CHARACTERS <= len(key) <= MAX_CHARACTERS:
        return f"got a key of {len(key)} characters, expected {MIN_CHARACTERS} to {MAX_CHARACTERS}"
    if not all(0x21 <= character <= 0x7E for character in key):
        return "got other characters, expected printable ASCII without spaces"
    return None
