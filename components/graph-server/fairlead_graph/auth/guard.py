"""Which requests need a key, and whether they come with one: decided by path and headers, before a body is read.

Whatever is not listed as open needs a key. Health is open to the kubelet, metrics to Prometheus, and the operator's own
paths are protected as they are without keys.
"""

import re
from collections.abc import Callable, Iterable

from fairlead_contracts.devices import PATH as DEVICES_PATH
from fairlead_contracts.monitor import PATH as MONITOR_PATH
from fairlead_contracts.traffic import FORWARDED, TrafficDocument
from fairlead_contracts.traffic import PATH as TRAFFIC_PATH
from fairlead_serving.errors import Unauthenticated
from fairlead_serving.messages import HTTP_STATUS, Headers, Response
from prometheus_client import CollectorRegistry

from ..protocols.failures import build_failure
from ..protocols.paths import READY, find_protocol
from ..settings import Settings
from ..traffic.key import CREDENTIALS, TrafficKey
from .keys import ApiKeys
from .metrics import AuthMetrics, Reason

_AUTHORIZATION, _API_KEY, _FORWARDED = (name.lower().encode() for name in (*CREDENTIALS, FORWARDED))
_READ = frozenset((_AUTHORIZATION, _API_KEY, _FORWARDED))
_CHALLENGE = ("WWW-Authenticate", 'Bearer realm="fairlead"')
_PROBLEM = "API key: expected a known one, as Authorization: Bearer <key> or X-API-Key: <key>"
"""The same for all: who has no key learns nothing about keys."""
_READING = {"GET": 0, "HEAD": 0}
_OPEN = {
    **dict.fromkeys(("/metrics", "/v2/health/live", *READY, DEVICES_PATH, MONITOR_PATH), _READING),
    TRAFFIC_PATH: _READING | {"PUT": TrafficDocument.max_bytes},  # documents are signed
}
"""The methods that need no key at each path, and the bytes that a body may have: callers without one get no memory."""
_MODEL_READY = re.compile(r"/v2/models/[^/]+(/versions/[^/]+)?/ready")
_HEALTH_CALLS = ("ServerLive", "ServerReady", "ModelReady")
_OPEN_CALLS = frozenset(f"inference.GRPCInferenceService/{name}" for name in _HEALTH_CALLS)


class Guard:
    """Rejects requests without a key, and counts them."""

    def __init__(self, keys: ApiKeys, registry: CollectorRegistry, peers: TrafficKey | None = None) -> None:
        """Admit requests with one of the keys, and those that another server of the deployment forwards."""
        self._keys, self._peers = keys, peers
        self._metrics = AuthMetrics(registry, lambda: len(keys))

    def check_request(self, method: str, path: str, headers: Headers) -> Response | int | None:
        """Return the rejection of a request over HTTP, in the words of its protocol; None if it has a key.

        Of a request that needs no key, return the bytes that its body may have.
        """
        if (most := _find_limit(method, path)) is not None:
            return most
        error = self._check(headers)
        if error is None:
            return None
        body = build_failure(find_protocol(path), error) if method != "HEAD" else b""
        return Response(body, HTTP_STATUS[error.code], headers=[_CHALLENGE])

    def check_call(self, method: str) -> Callable[[Iterable[tuple[str, str | bytes]]], None] | None:
        """Return what checks the metadata of a call over gRPC, and raises Unauthenticated; None if it needs no key."""
        if method in _OPEN_CALLS:
            return None

        def check(metadata: Iterable[tuple[str, str | bytes]]) -> None:
            if error := self._check((name.encode(), _encode(value)) for name, value in metadata):
                raise error

        return check

    def _check(self, headers: Iterable[tuple[bytes, bytes]]) -> Unauthenticated | None:
        """Return the error of a request with these headers, of which the first of each name counts.

        More of them would be guesses, which a request has one of for each name.
        """
        reason: Reason = "missing"
        seen: set[bytes] = set()
        for name, value in headers:
            if name not in _READ or name in seen:
                continue
            seen.add(name)
            if name == _FORWARDED:
                if self._peers is not None and self._peers.is_pass(value):
                    return None
            elif key := _read_key(name, value):
                if self._keys.match(key):
                    return None
                reason = "unknown"
        self._metrics.observe_rejection(reason)
        return Unauthenticated(_PROBLEM)


def build_guard(settings: Settings, registry: CollectorRegistry, peers: TrafficKey | None) -> Guard | None:
    """Return the guard, or None if requests need no key; raise InvalidGraph."""
    return Guard(ApiKeys(settings.api_keys_file), registry, peers) if settings.api_keys_file else None


def _find_limit(method: str, path: str) -> int | None:
    """Return the bytes that the body of a request without a key may have; None if it needs one."""
    if path in _OPEN:
        return _OPEN[path].get(method)
    return _READING[method] if method in _READING and _MODEL_READY.fullmatch(path) else None


def _encode(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _read_key(name: bytes, value: bytes) -> bytes:
    """Return the key in a header; nothing if there is none."""
    if name == _API_KEY:
        return value.strip()
    if name == _AUTHORIZATION:
        scheme, _, key = value.strip().partition(b" ")
        return key.strip() if scheme.lower() == b"bearer" else b""
    return b""
