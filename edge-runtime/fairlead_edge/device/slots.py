"""Which releases a device has, and what becomes of them. Pure: each function returns the next state.

A release that is offered becomes the candidate, which is on trial: it is tested, and then answers requests, until it is
confirmed. Until then, the good release stays. A device that does not outlive a trial (a power cut, or a candidate that
takes it down) tries again, but not for ever, as boot loaders count the boots of a new system.
"""

from dataclasses import dataclass, replace

MAX_ATTEMPTS, MAX_INTERRUPTIONS = 3, 10
"""How many trials of a candidate may end with the device's process; and how many because that was asked to end."""


@dataclass(frozen=True)
class Release:
    """A bundle that is on the device."""

    digest: str
    version: int


@dataclass(frozen=True)
class Offer:
    """A release that the device is to run."""

    sequence: int
    """Its number: each offer has a higher one than those before."""
    release: Release
    older: bool = False
    """Whether it may be older than what has run."""


@dataclass(frozen=True)
class Rejection:
    """A release that did not stand its trial."""

    release: Release
    reason: str


@dataclass(frozen=True)
class Slots:
    """The state of a device."""

    good: Release | None = None
    """The release that was confirmed last: it answers while there is no candidate that does."""
    previous: Release | None = None
    """The good release before it, for a disk that has lost the good one, and for a rollback."""
    candidate: Offer | None = None
    """The release on trial."""
    attempts: int = 0
    """How many trials of the candidate have begun."""
    interruptions: int = 0
    """How many of them ended because the device's process was asked to end."""
    handled: int = 0
    """The sequence of the last offer that was confirmed or rejected."""
    floor: int = 0
    """The highest version that was confirmed."""
    rejected: Rejection | None = None
    """The release that was rejected last."""

    @property
    def kept(self) -> frozenset[str]:
        """The digests of the releases that stay on the disk."""
        offered = self.candidate.release if self.candidate else None
        return frozenset(each.digest for each in (self.good, self.previous, offered) if each)


def find_candidate(slots: Slots, offer: Offer | None) -> Offer | None:
    """Return the offer to try now: a newer one before the candidate, whose trial may have been interrupted."""
    if offer is not None and offer.sequence > max(slots.handled, slots.candidate.sequence if slots.candidate else 0):
        return offer
    return slots.candidate


def begin(slots: Slots, offer: Offer) -> Slots:
    """Begin a trial, perhaps again."""
    again = slots.candidate == offer
    if again:
        return replace(slots, attempts=slots.attempts + 1)
    return replace(slots, candidate=offer, attempts=1, interruptions=0)


def interrupt(slots: Slots) -> Slots:
    """End a trial because the device's process was asked to end, which says little of the candidate."""
    return replace(slots, attempts=slots.attempts - 1, interruptions=slots.interruptions + 1)


def check_trial(slots: Slots, offer: Offer) -> str | None:
    """Return why a candidate cannot be tried, or None."""
    if not offer.older and offer.release.version < slots.floor:
        return f"version: got {offer.release.version}, expected at least {slots.floor}, which this device has run"
    if slots.attempts > MAX_ATTEMPTS:
        return f"{MAX_ATTEMPTS} trials ended with the device's process"
    if slots.interruptions > MAX_INTERRUPTIONS:
        return f"{MAX_INTERRUPTIONS} trials were ended from outside"
    return None


def confirm(slots: Slots) -> Slots:
    """Make the candidate the good release."""
    assert slots.candidate is not None
    offer = slots.candidate
    previous = slots.previous if offer.release == slots.good else slots.good
    floor = max(slots.floor, offer.release.version)
    return Slots(offer.release, previous, handled=offer.sequence, floor=floor, rejected=slots.rejected)


def reject(slots: Slots, reason: str) -> Slots:
    """Give the candidate up; the good release stays."""
    assert slots.candidate is not None
    offer = slots.candidate
    rejected = Rejection(offer.release, reason)
    return replace(slots, candidate=None, attempts=0, interruptions=0, handled=offer.sequence, rejected=rejected)


def lose(slots: Slots, reason: str) -> Slots:
    """Replace the good release, which cannot be served any more, by the one before it."""
    assert slots.good is not None
    return replace(slots, good=slots.previous, previous=None, rejected=Rejection(slots.good, reason))
