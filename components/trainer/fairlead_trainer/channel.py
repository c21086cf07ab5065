"""The authenticated channel: HMAC-SHA256 over method, path, time, nonce and the digest of the body.

Each job has its own key. Without it, a peer can neither send requests nor answer them. Replayed requests are rejected;
answers are bound to the nonce. A header has the body's digest: a request is authenticated before its body is read.
"""

import hashlib
import hmac
import itertools
import re
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

TIME, NONCE, DIGEST, SIGNATURE = "X-Fairlead-Time", "X-Fairlead-Nonce", "X-Fairlead-Digest", "X-Fairlead-Signature"
CLOCK_SKEW = 300
"""Seconds by which the clocks of two nodes may differ."""
_NONCE = re.compile(r"([0-9a-f]{16})\.([0-9]{1,15})")
_WINDOW = 64
"""Requests of one sender that may arrive out of order."""


class Sender:
    """Signs requests. Its nonces are a random name and increasing numbers, so that receivers need little memory."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._name = secrets.token_hex(8)
        self._numbers = itertools.count(1)

    def sign(self, method: str, path: str, body: bytes, now: float) -> dict[str, str]:
        """Return the headers that authenticate a request; `now` is the time of day in seconds."""
        time, nonce, digest = f"{now:.3f}", f"{self._name}.{next(self._numbers)}", hashlib.sha256(body).hexdigest()
        signature = _mac(self._key, b"request", method, path, time, nonce, digest)
        return {TIME: time, NONCE: nonce, DIGEST: digest, SIGNATURE: signature}


def sign_answer(key: bytes, nonce: str, status: int, body: bytes) -> dict[str, str]:
    """Return the header that authenticates the answer to the request with this nonce."""
    return {SIGNATURE: _mac(key, b"answer", nonce, str(status), body)}


def is_answer_genuine(key: bytes, nonce: str, status: int, body: bytes, signature: str | None) -> bool:
    """Return whether the answer is for this request and was signed with the key."""
    return _equal(_mac(key, b"answer", nonce, str(status), body), signature or "")


class Headers(Protocol):
    """The headers of a request, as any mapping-like object."""

    def get(self, name: str, /) -> str | None: ...


@dataclass
class _Window:
    """The numbers that one sender has used: the highest, and a bit for each just below it (RFC 4303, 3.4.3)."""

    highest: int = 0
    seen: int = 0
    used: float = 0.0

    def accept(self, number: int) -> bool:
        """Record a number; return False if it was used before, or is too old for that to be known."""
        if number > self.highest:
            self.seen = (self.seen << min(number - self.highest, _WINDOW) | 1) & ((1 << _WINDOW) - 1)
            self.highest = number
            return True
        bit = 1 << (self.highest - number)
        if self.highest - number >= _WINDOW or self.seen & bit:
            return False
        self.seen |= bit
        return True


class RequestGuard:
    """Accepts requests that are authentic, recent and not replayed, at a constant cost per request."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._lock = threading.Lock()

    def rejection(self, method: str, path: str, headers: Headers, now: float) -> str | None:
        """Return why the request is rejected, for the log only, or None if it is accepted.

        The body is authentic if `matches_digest` is true for it.
        """
        time, nonce, digest, signature = (headers.get(name) or "" for name in (TIME, NONCE, DIGEST, SIGNATURE))
        if not (time and nonce and digest and signature):
            return "the request is not signed"
        if not _equal(_mac(self._key, b"request", method, path, time, nonce, digest), signature):
            return "the signature does not match this job's key"
        # The time and nonce can be trusted only after the signature is verified.
        if abs(float(time) - now) > CLOCK_SKEW:
            return f"the request's time differs from this clock by {abs(float(time) - now):.0f} s"
        return None if self._is_new(nonce, now) else "the request was replayed"

    def _is_new(self, nonce: str, now: float) -> bool:
        parts = _NONCE.fullmatch(nonce)
        if parts is None:
            return False
        with self._lock:
            window = self._windows.setdefault(parts[1], _Window())
            window.used = now
            self._windows.move_to_end(parts[1])
            while now - next(iter(self._windows.values())).used > 2 * CLOCK_SKEW:
                self._windows.popitem(last=False)
            return window.accept(int(parts[2]))


def matches_digest(body: bytes, headers: Headers) -> bool:
    """Return whether a body is the one that its request's accepted headers name."""
    return _equal(hashlib.sha256(body).hexdigest(), headers.get(DIGEST) or "")


def _mac(key: bytes, *parts: str | bytes) -> str:
    # Hash each part separately, so that different lists of parts never produce the same message.
    message = b"".join(hashlib.sha256(part if isinstance(part, bytes) else part.encode()).digest() for part in parts)
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def _equal(expected: str, got: str) -> bool:
    return hmac.compare_digest(expected.encode(), got.encode("utf-8", "replace"))
