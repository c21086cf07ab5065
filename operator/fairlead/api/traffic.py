"""How the predictors of a ModelDeployment share its requests: shadows, clients that stay, and what is in force."""

from datetime import datetime
from typing import ClassVar

from fairlead_contracts.traffic import MAX_HEADER, NAME_OF_HEADER
from pydantic import Field

from fairlead.api.base import LIST_MAP_BY_NAME, ApiModel, Rule, StatusModel


class Shadow(ApiModel):
    """A predictor that gets copies of requests; its answers are only compared with those that the clients got."""

    percent: int = Field(ge=1, le=100)
    """The percentage of the requests answered by the first predictor that is no shadow, of which it gets a copy."""


class Stickiness(ApiModel):
    """What keeps a client at one predictor: requests with the same value go the same way while the traffic is the
    same. When a predictor's traffic rises, clients only move to it. Requests without a value are decided one by one."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.header) != has(self.cookie)",
            "stickiness: expected a header or a cookie",
            lambda sticky: (sticky.header is None) != (sticky.cookie is None),
        ),
    )

    header: str | None = Field(None, min_length=1, max_length=MAX_HEADER, pattern=NAME_OF_HEADER)
    """The name of a header of HTTP, or of metadata of gRPC."""
    cookie: str | None = Field(None, min_length=1, max_length=MAX_HEADER, pattern=NAME_OF_HEADER)
    """The name of a cookie."""


class TrafficShare(StatusModel):
    """What a predictor gets. What servers do with their requests follows from it."""

    name: str
    """The name of the predictor."""
    weight: int = 0
    """The percentage of the requests that it answers."""
    mirror: int = 0
    """The percentage of the requests answered by the entry of which it gets a copy."""
    address: str | None = Field(None, max_length=64)
    """The address of its Service, to which servers forward."""
    content: str = Field("", max_length=64)
    """A hash of what determines its pods; counts of another content are not added to its own."""


class TrafficStatus(StatusModel):
    """How requests are split between predictors. Servers are sent what follows from it, and report what is in force."""

    entry: str
    """The predictor whose pods the Service selects; they answer requests, or forward them to other predictors."""
    splitting: tuple[str, ...] = ()
    """The predictors whose servers split what they get: the entry and, while another one becomes it, both."""
    shares: tuple[TrafficShare, ...] = Field((), json_schema_extra=LIST_MAP_BY_NAME)
    """What each predictor gets. What is left is answered by the entry."""
    stickiness: Stickiness | None = None
    """What keeps a client at one predictor."""
    generation: int = 0
    """The generation of the servers' traffic documents. It begins with the time in seconds."""
    window: int = 0
    """The window in which they count: since the shares, the stickiness or a predictor's content last changed."""
    servers: int = 0
    """The number of ready servers that have to know."""
    confirmed: int = 0
    """How many of them have this generation in force."""
    moved_at: datetime | None = None
    """When a predictor last lost traffic. One that was removed is deleted some seconds later."""


class Measured(StatusModel):
    """What the entry's servers have counted of a predictor since the traffic last changed."""

    requests: int = 0
    """The requests that it answered; for a shadow, the copies."""
    errors: int = 0
    """Those of them that failed."""
    p99_seconds: float | None = None
    """The time within which 99 % of them ended; at most 10 % too high. Absent if it is longer than measured times."""
    compared: int = 0
    """The copies whose answers were compared with those that clients got; one that failed counts as different."""
    agreed: int = 0
    """Those of them with the same answer: the same classes, or the same values."""
    dropped: int = 0
    """The copies that were not sent or not compared, because there were too many, or answers were too large."""
    max_distance: float = 0
    """The largest difference between two numbers of two answers that were compared."""
