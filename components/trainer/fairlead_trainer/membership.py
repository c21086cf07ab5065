"""Which workers make up the next epoch of a job. Pure: bounds, observed workers and the time are arguments.

An epoch is a period in which the same workers train together. A fixed-size job is the case of equal bounds.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Bounds:
    """The limits of a job's size and of its waits; times are in seconds."""

    least: int
    """The number of workers below which the job does not train."""
    most: int
    """The number of workers above which none is added."""
    settle: float = 0.0
    """How long to wait for further workers before an epoch starts with fewer than desired."""
    cooldown: float = 0.0
    """How long a host on which a worker failed is left out."""
    patience: float = math.inf
    """How long a job that has lost workers waits until it has the least number again."""

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise ValueError(f"least: got {self.least}, expected at least 1 and at most {self.most}")

    @classmethod
    def fixed(cls, workers: int) -> "Bounds":
        """Return the bounds of a job of a fixed size."""
        return cls(workers, workers)


@dataclass(frozen=True, order=True)
class MemberId:
    """One life of a worker: a worker that is started again is another member."""

    worker: int
    instance: str


@dataclass(frozen=True)
class Candidate:
    """A worker that is registered and alive."""

    id: MemberId
    since: float
    """When it registered."""
    host: str = ""
    """Where it runs: what a failure is held against."""
    leaving: bool = False
    """Whether it will be stopped soon, so that it should not be part of another epoch."""


@dataclass(frozen=True)
class Observed:
    """What is known of the workers at one time."""

    candidates: tuple[Candidate, ...]
    desired: int
    """The desired number of workers; the bounds limit it."""
    failed: Mapping[str, float] = field(default_factory=dict)
    """When a worker last failed on a host."""
    short_since: float | None = None
    """Since when there have been too few workers to train; None if there are enough."""


@dataclass(frozen=True)
class Membership:
    """The workers of an epoch, in the order of their ranks: workers of the epoch before come first."""

    epoch: int
    members: tuple[MemberId, ...]


@dataclass(frozen=True)
class Decision:
    """What to do next."""

    membership: Membership | None
    """The current membership, or the next one; None before the first epoch."""
    short: bool = False
    """Whether there are too few workers to train."""
    hopeless: bool = False
    """Whether there have been too few for longer than the job's patience."""
    again: float | None = None
    """When to decide again if nothing happens before."""


def plan_membership(bounds: Bounds, current: Membership | None, observed: Observed, now: float) -> Decision:
    """Decide who trains from now on, given who trains at present.

    Losses take effect at once; newcomers are collected for a while, because every epoch interrupts the training.
    """
    desired = max(bounds.least, min(bounds.most, observed.desired))
    known = current.members if current else ()
    staying = _select_staying(known, observed.candidates, desired)
    newcomers, cooled = _select_newcomers(bounds, observed, known, now)
    added = newcomers[: desired - len(staying)]
    following = (*staying, *(candidate.id for candidate in added))
    cooled = cooled if len(following) < desired else None
    if len(following) < bounds.least:
        return _wait(bounds, current, observed, cooled, now)
    if current is not None and following == known:
        return Decision(current, again=cooled)
    is_loss = current is not None and len(staying) < len(known)
    if not is_loss and len(following) < desired:
        # an epoch can start, and more workers may follow soon
        ready = sorted(candidate.since for candidate in added)[0 if current else bounds.least - 1] + bounds.settle
        if now < ready:
            return Decision(current, again=min(ready, cooled or math.inf))
    return Decision(Membership(current.epoch + 1 if current else 0, following), again=cooled)


def _wait(bounds: Bounds, current: Membership | None, observed: Observed, cooled: float | None, now: float) -> Decision:
    since = observed.short_since
    end = math.inf if since is None else since + bounds.patience
    if now >= end:
        return Decision(current, short=True, hopeless=True)
    again = min(cooled or math.inf, end)
    return Decision(current, short=True, again=again if again < math.inf else None)


def _select_staying(known: Iterable[MemberId], candidates: Iterable[Candidate], desired: int) -> tuple[MemberId, ...]:
    """Return the members that go on, in their order; of too many, those with the lowest numbers."""
    available = {candidate.id for candidate in candidates if not candidate.leaving}
    alive = tuple(member for member in known if member in available)
    kept = set(sorted(alive)[:desired])
    return tuple(member for member in alive if member in kept)


def _select_newcomers(
    bounds: Bounds, observed: Observed, known: Collection[MemberId], now: float
) -> tuple[list[Candidate], float | None]:
    """Return the candidates that may be added, in order, and when the next cool-down of another one ends."""
    trained = set(known)
    others = [candidate for candidate in observed.candidates if not candidate.leaving and candidate.id not in trained]
    until = {c.id: observed.failed[c.host] + bounds.cooldown for c in others if c.host in observed.failed}
    allowed = sorted((c for c in others if until.get(c.id, now) <= now), key=lambda candidate: candidate.id)
    return allowed, min((end for end in until.values() if end > now), default=None)
