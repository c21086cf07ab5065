"""The authenticated channel: HMAC-SHA256 over method, path, body, time and a nonce; answers are bound to the nonce.

Each job has its own key. Without it, a peer can neither send requests nor answer them; replayed requests are rejected.
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
    """Return the headers that authenticate a request."""
    time, nonce = f"{now:.3f}", secrets.token_hex(16)
    return {TIME: time, NONCE: nonce, SIGNATURE: _mac(key, b"request", method, path, time, nonce, body)}


def sign_answer(key: bytes, nonce: str, status: int, body: bytes) -> dict[str, str]:
    """Return the header that authenticates the answer to the request with this nonce."""
    return {SIGNATURE: _mac(key, b"answer", nonce, str(status), body)}


def is_answer_genuine(key: bytes, nonce: str, status: int, body: bytes, signature: str | None) -> bool:
    """Return whether the answer is for this request and was signed with the key."""
    return _equal(_mac(key, b"answer", nonce, str(status), body), signature or "")


class Headers(Protocol):
    """The headers of a request, as any mapping-like object."""

    def get(self, name: str, /) -> str | None: ...


class RequestGuard:
    """Accept requests that are authentic, recent and not replayed."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()

    def rejection(self, method: str, path: str, body: bytes, headers: Headers, now: float) -> str | None:
        """Return why the request is rejected, for the log only, or None if it is accepted."""
        time, nonce, signature = (headers.get(name) or "" for name in (TIME, NONCE, SIGNATURE))
        if not (time and nonce and signature):
            return "the request is not signed"
        if not _equal(_mac(self._key, b"request", method, path, time, nonce, body), signature):
            return "the signature does not match this job's key"
        # The time and nonce can be trusted only after the signature is verified.
        if abs(float(time) - now) > CLOCK_SKEW:
            return f"the request's time differs from this clock by {abs(float(time) - now):.0f} s"
        with self._lock:
            self._seen = {known: at for known, at in self._seen.items() if now - at <= 2 * CLOCK_SKEW}
            if nonce in self._seen:
                return "the request was replayed"
            self._seen[nonce] = now
        return None


def _mac(key: bytes, *parts: str | bytes) -> str:
    # Hash each part separately, so that different lists of parts never produce the same message.
    message = b"".join(hashlib.sha256(part if isinstance(part, bytes) else part.encode()).digest() for part in parts)
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def _equal(expected: str, got: str) -> bool:
    return hmac.compare_digest(expected.encode(), got.encode("utf-8", "replace"))
