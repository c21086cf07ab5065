"""The authenticated channel: HMAC-SHA256 over method, path, body, time and a nonce; answers are bound to the nonce.

The key is the job's own. Whoever lacks it can neither speak nor answer; a recorded request is refused when repeated.
"""

import hashlib
import hmac
import secrets
import threading
from typing import Protocol

TIME, NONCE, SIGNATURE = "X-Fairlead-Time", "X-Fairlead-Nonce", "X-Fairlead-Signature"
CLOCK_SKEW = 300
"""Seconds by which the clocks of two nodes may differ."""


def sign_request(key: bytes, method: str, path: str, body: bytes, now: float) -> dict[str, str]:
    """Return the headers that prove a request."""
    time, nonce = f"{now:.3f}", secrets.token_hex(16)
    return {TIME: time, NONCE: nonce, SIGNATURE: _mac(key, b"request", method, path, time, nonce, body)}


def sign_answer(key: bytes, nonce: str, status: int, body: bytes) -> dict[str, str]:
    """Return the header that proves the answer to exactly the request with this nonce."""
    return {SIGNATURE: _mac(key, b"answer", nonce, str(status), body)}


def is_answer_genuine(key: bytes, nonce: str, status: int, body: bytes, signature: str | None) -> bool:
    """Say whether the answer comes from a holder of the key, for this request."""
    return _equal(_mac(key, b"answer", nonce, str(status), body), signature or "")


class Headers(Protocol):
    """A request's headers, whatever holds them."""

    def get(self, name: str, /) -> str | None: ...


class RequestGuard:
    """Decide which requests are genuine, recent and seen for the first time."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()

    def rejection(self, method: str, path: str, body: bytes, headers: Headers, now: float) -> str | None:
        """Return why the request is refused, for the log only, or None when it is genuine."""
        time, nonce, signature = (headers.get(name) or "" for name in (TIME, NONCE, SIGNATURE))
        if not (time and nonce and signature):
            return "it is not signed"
        if not _equal(_mac(self._key, b"request", method, path, time, nonce, body), signature):
            return "its signature does not fit this job's key"
        # Only the signature makes time and nonce trustworthy.
        if abs(float(time) - now) > CLOCK_SKEW:
            return f"it is {abs(float(time) - now):.0f} s from this clock"
        with self._lock:
            self._seen = {known: at for known, at in self._seen.items() if now - at <= 2 * CLOCK_SKEW}
            if nonce in self._seen:
                return "it was sent before"
            self._seen[nonce] = now
        return None


def _mac(key: bytes, *parts: str | bytes) -> str:
    # Each part is hashed by itself: no two lists of parts give one message.
    message = b"".join(hashlib.sha256(part if isinstance(part, bytes) else part.encode()).digest() for part in parts)
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def _equal(expected: str, got: str) -> bool:
    return hmac.compare_digest(expected.encode(), got.encode("utf-8", "replace"))
