"""traffic.json: which share of its requests a graph server forwards or mirrors, and what it has measured since.

The operator writes the document to the servers of the stable revision, or of the predictor that is the entry: to each
running one with an authenticated PUT at PATH, and to a ConfigMap for those that start later. GET at PATH returns the
facts. Counts belong to a window, and a server begins with zero at a new one, so facts of several servers are added up
and the operator remembers none of them.
"""

import hashlib
import hmac
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from .base import Contract, Sparse, problem
from .errors import ContractError, Words

FILE, PATH = "traffic.json", "/fairlead/v1/traffic"
SIGNATURE = "Fairlead-Signature"
"""The header with the signature of a PUT."""
FORWARDED = "Fairlead-Forwarded"
"""The header, or metadata of gRPC, of a request that a server has forwarded or copied: it is not forwarded again.

If its value is the key's `make_pass`, it needs no API key: the server that the client has asked decides about that."""
ROUTED = "Fairlead-Route"
"""The header, or metadata of gRPC, of an answer: the route that returned it, or the revision of the server itself."""
MAX_ROUTES = 16
_FIRST_BOUND, _GROWTH, _BOUNDS = 1e-4, 1.1, 150
BOUNDS = tuple(_FIRST_BOUND * _GROWTH**index for index in range(_BOUNDS))
"""The upper bounds of the latency buckets in seconds, from 0.1 ms to 147 s; each is 10 % above the one before."""
_MIN_KEY_BYTES = 16
_LARGEST = (1 << 53) - 1
_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
NAME_OF_HEADER, MAX_HEADER = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", 128
"""What names of headers and cookies consist of, and their maximum length."""

Count = Annotated[int, Field(ge=0, le=_LARGEST)]


class Route(Contract):
    """Another revision or predictor, by the address of its Service."""

    name: str = Field(min_length=1, max_length=63, pattern=_NAME)
    """Its name, unique in the document."""
    host: str = Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9.:-]+$")
    """The host name or address of its Service."""
    port: int = Field(ge=1, le=65535)
    """The port of HTTP."""
    grpc_port: int = Field(ge=1, le=65535)
    """The port of gRPC."""
    percent: float = Field(0, ge=0, le=100)
    """The percentage of requests that it answers."""
    mirror_percent: float = Field(0, ge=0, le=100)
    """The percentage of the requests answered here of which it gets a copy; its answer is only compared."""


class Sticky(Sparse):
    """What keeps a client at one route: requests with the same value go the same way while the weights are the same."""

    header: str | None = Field(None, max_length=MAX_HEADER, pattern=NAME_OF_HEADER)
    """The name of a header of HTTP, or of metadata of gRPC."""
    cookie: str | None = Field(None, max_length=MAX_HEADER, pattern=NAME_OF_HEADER)
    """The name of a cookie."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.header is None) == (self.cookie is None):
            raise problem("", Words("both" if self.header else "neither"), "a header or a cookie")
        return self


class TrafficDocument(Contract):
    """What the servers of one revision, or predictor, do with their requests."""

    max_bytes: ClassVar[int] = 64 << 10

    schema_: Literal["fairlead.dev/traffic/v1"] = Field("fairlead.dev/traffic/v1", alias="schema")
    revision: str = Field(min_length=1, max_length=63)
    """The revision or predictor whose servers it is for (FAIRLEAD_REVISION); other servers reject it."""
    generation: int = Field(ge=1, le=_LARGEST)
    """Rises with each change; a server rejects one that is lower than its own."""
    window: int = Field(0, ge=0, le=_LARGEST)
    """The window of the counts; a server begins with zero when it changes."""
    routes: tuple[Route, ...] = Field((), max_length=MAX_ROUTES, strict=False)
    """Where requests go; what their percentages leave is answered here."""
    sticky: Sticky | None = None
    """What keeps a client at one route; None decides for each request."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (total := sum(route.percent for route in self.routes)) > 100:
            raise problem("routes", Words(f"{total:g} percent in sum"), "at most 100")
        names = [route.name for route in self.routes]
        if repeated := next((name for name in names if names.count(name) > 1), None):
            raise problem("routes", Words(f"{names.count(repeated)} named {repeated}"), "unique names")
        return self


class Counts(Contract):
    """Predictions in a window; feedback is not counted."""

    requests: Count = 0
    """All that ended, but for those that the client ended or got wrong (400, and 404 of its own)."""
    errors: Count = 0
    """Those of them that failed: no answer, or any other status, also 422, which is an answer that cannot be sent.

    A route's 400 is one of them if the server itself accepts the request.
    """
    latency: Annotated[tuple[Count, ...], Field(min_length=_BOUNDS + 1, max_length=_BOUNDS + 1, strict=False)] = (
        0,
    ) * (_BOUNDS + 1)
    """How many of them took up to each of BOUNDS and, in the last place, longer."""


class Agreement(Contract):
    """How answers to mirrored requests compare with those that the clients got."""

    compared: Count = 0
    """Requests that both answered; a failure of the mirrored one alone counts here as different."""
    agreed: Count = 0
    """Those of them with the same answer: the same classes (the largest of each row of floats) or the same values."""
    dropped: Count = 0
    """Copies that were not sent, or not compared: too many were on their way, or the live answer was too large."""
    max_distance: float = Field(0, ge=0)
    """The largest absolute difference between two numbers of two answers."""


class RouteFacts(Contract):
    """What was measured about a route."""

    name: str = Field(min_length=1, max_length=63, pattern=_NAME)
    """Its name."""
    counts: Counts = Counts()
    """The requests that it answered for clients."""
    mirrored: Counts = Counts()
    """The copies that it answered."""
    agreement: Agreement = Agreement()
    """How these copies compare."""


class TrafficFacts(Contract):
    """What a server does, and has measured in its window."""

    max_bytes: ClassVar[int] = 256 << 10

    schema_: Literal["fairlead.dev/traffic-facts/v1"] = Field("fairlead.dev/traffic-facts/v1", alias="schema")
    server: str = Field(min_length=1, max_length=63)
    """A random name of the server's process: a restart loses its counts."""
    revision: str = Field(max_length=63)
    """Its revision, or predictor."""
    generation: Count
    """The generation of the document in force; 0 if it has none, and answers every request itself."""
    window: Count
    """The window of the counts."""
    own: Counts = Counts()
    """The requests that it answered itself."""
    routes: Annotated[tuple[RouteFacts, ...], Field(max_length=MAX_ROUTES, strict=False)] = ()
    """The facts of each route of the document."""


def quantile(counts: Counts, share: float) -> float | None:
    """Return an upper bound, at most 10 % too high, of the seconds within which a share of the requests ended.

    None if there were none; infinity beyond the last bound.
    """
    rank, seen = share * sum(counts.latency), 0
    if not rank:
        return None
    for bound, count in zip((*BOUNDS, float("inf")), counts.latency, strict=True):
        seen += count
        if seen >= rank:
            return bound
    return float("inf")


def parse_key(content: bytes, at: str) -> bytes:
    """Return the key in the content of a key file, hexadecimal digits; raise ContractError, which never contains it."""
    try:
        key = bytes.fromhex(content.decode("ascii").strip())
    except ValueError:
        raise ContractError(at, Words("something else"), "a key in hexadecimal digits") from None
    if len(key) < _MIN_KEY_BYTES:
        raise ContractError(at, Words(f"a key of {len(key)} bytes"), f"at least {_MIN_KEY_BYTES}")
    return key


def sign(key: bytes, body: bytes) -> str:
    """Return the signature of a PUT's body: its HMAC-SHA256 in hexadecimal digits."""
    return hmac.new(key, b"fairlead-traffic\n" + body, hashlib.sha256).hexdigest()


def make_pass(key: bytes) -> str:
    """Return the value of FORWARDED by which a server shows another one of its deployment that it may forward."""
    return hmac.new(key, b"fairlead-forwarded", hashlib.sha256).hexdigest()


def is_signed(key: bytes, body: bytes, signature: str) -> bool:
    """Return whether a signature is that of a PUT's body."""
    return hmac.compare_digest(sign(key, body).encode(), signature.encode("utf-8", "replace"))
