"""How predictors share the requests: what each gets next. Pure arithmetic; knows neither Kubernetes nor HTTP.

`advance` returns the next state, or the same one. The caller stores it and acts only on what is stored, so that an
operator that is killed anywhere goes on from there.

A predictor loses traffic at once, and gets more only when all its pods are ready. Until then its share is answered by
predictors that were removed from the spec, as far as they had as much, and else by the entry. For example main has 90 %
and old 10 %, and the spec becomes main 80 %, new 20 %: main has 90 % and old 10 % until the pods of new are ready.

The entry is the first predictor that is no shadow. Another one becomes it in three steps, each after the one before is
in force: its servers split as well, the Service selects its pods, and the servers of the earlier one split no more.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fairlead_contracts.traffic import MAX_ROUTES

from fairlead.api.model_deployment import MAX_PREDICTORS, Predictor
from fairlead.api.traffic import Stickiness, TrafficShare, TrafficStatus

DRAIN_SECONDS = 5.0
"""How long servers may still get requests after the Service has changed, until its routes have."""
_MAX_REMOVED = MAX_ROUTES - MAX_PREDICTORS
"""Predictors that are not in the spec any more but keep a share: no more than a document has room for."""


@dataclass(frozen=True)
class DesiredShare:
    """The desired traffic of a predictor, from the spec."""

    name: str
    weight: int = 0
    mirror: int = 0


@dataclass(frozen=True)
class Facts:
    """What is known of the predictors, by name."""

    ready: frozenset[str] = frozenset()
    """Those with all their pods ready, and as the spec says."""
    empty: frozenset[str] = frozenset()
    """Those that have no pods, because their replicas are 0."""
    confirmed: frozenset[str] = frozenset()
    """Those whose servers all do what the state says."""
    addresses: Mapping[str, str] = field(default_factory=dict)
    """The addresses of their Services."""
    contents: Mapping[str, str] = field(default_factory=dict)
    """Hashes of what determines their pods."""
    serving: str = ""
    """The predictor that has served alone until now; empty if there was none."""
    selected: bool = False
    """Whether the Service is applied as the state says."""


def read_desired(predictors: Sequence[Predictor]) -> tuple[DesiredShare, ...]:
    """Return the desired traffic of each predictor, from the spec."""
    alone = sum(predictor.shadow is None for predictor in predictors) == 1
    return tuple(
        DesiredShare(predictor.name, mirror=predictor.shadow.percent)
        if predictor.shadow
        else DesiredShare(predictor.name, 100 if alone else predictor.traffic or 0)
        for predictor in predictors
    )


def find_entry(predictors: Sequence[Predictor]) -> Predictor:
    """Return the predictor that is to be the entry."""
    return next(predictor for predictor in predictors if predictor.shadow is None)


def advance(
    before: TrafficStatus | None,
    desired: Sequence[DesiredShare],
    entry: str,
    stickiness: Stickiness | None,
    facts: Facts,
    now: datetime,
) -> TrafficStatus:
    """Return the next state."""
    changes: dict[str, Any]
    if before is None:
        # servers may have documents from before the status was lost, and reject older ones
        number, serving = max(1, int(now.timestamp())), facts.serving or entry
        first = TrafficStatus(entry=serving, splitting=(serving,), generation=number, window=number, moved_at=now)
        return first.model_copy(update={"shares": tuple(_share(first, desired, facts)), "stickiness": stickiness})
    if entry != before.entry and all(share.name in facts.empty for share in desired):
        # no predictor is to answer, and there will never be pods that could take over
        changes = {"entry": entry, "splitting": (entry,), "generation": before.generation + 1, "moved_at": now}
        return before.model_copy(update=changes)
    shares = tuple(_share(before, desired, facts))
    splitting = _list_splitting(before, entry, facts, now)
    changes = {"shares": shares, "splitting": splitting, "stickiness": stickiness}
    if any(getattr(before, name) != value for name, value in changes.items()):
        counts_end = (_without_addresses(before.shares), before.stickiness) != (_without_addresses(shares), stickiness)
        changes |= {"generation": before.generation + 1, "window": before.window + counts_end}
        lost = any(_has_lost(share, shares) for share in before.shares)
        return before.model_copy(update=changes | ({"moved_at": now} if lost else {}))
    if entry != before.entry and entry in splitting and entry in facts.confirmed & facts.ready:
        return before.model_copy(update={"entry": entry, "moved_at": now})
    return before


def list_known(state: TrafficStatus) -> tuple[str, ...]:
    """Return the predictors whose servers have to know what the state says."""
    return tuple(dict.fromkeys((*state.splitting, *(share.name for share in state.shares))))


def is_complete(state: TrafficStatus, desired: Sequence[DesiredShare], empty: frozenset[str]) -> bool:
    """Return whether each predictor gets what the spec says, as far as it has pods, and no other one anything."""
    aims = [_without_pods(share) if share.name in empty and share.name != state.entry else share for share in desired]
    return [(share.name, share.weight, share.mirror) for share in state.shares] == [
        (aim.name, aim.weight, aim.mirror) for aim in aims
    ]


def _share(before: TrafficStatus, desired: Sequence[DesiredShare], facts: Facts) -> Iterator[TrafficShare]:
    """Yield what each predictor gets, and what removed ones keep until others can get it."""
    known = {share.name: share for share in before.shares}
    waiting = 0
    for share in desired:
        had = known.pop(share.name, TrafficShare(name=share.name))
        is_entry, may_rise = share.name == before.entry, share.name in facts.ready
        aim = _without_pods(share) if share.name in facts.empty and not is_entry else share
        weight = aim.weight if may_rise or is_entry else min(had.weight, aim.weight)
        waiting += aim.weight - weight
        yield TrafficShare(
            name=share.name,
            weight=weight,
            mirror=aim.mirror if may_rise else min(had.mirror, aim.mirror),
            address=facts.addresses.get(share.name) or had.address,
            content=facts.contents.get(share.name) or had.content,
        )
    for had in list(known.values())[:_MAX_REMOVED]:
        if kept := min(had.weight, waiting):
            waiting -= kept
            yield had.model_copy(update={"weight": kept, "mirror": 0})


def _without_pods(share: DesiredShare) -> DesiredShare:
    return DesiredShare(share.name)


def _list_splitting(before: TrafficStatus, entry: str, facts: Facts, now: datetime) -> tuple[str, ...]:
    """Return the predictors whose servers split."""
    if entry != before.entry:
        joins = entry in facts.ready and entry not in before.splitting
        return (*before.splitting, entry) if joins else before.splitting
    waited = (now - before.moved_at).total_seconds() if before.moved_at else DRAIN_SECONDS
    # if the clock has gone back, nothing is known of how long it was
    return (entry,) if facts.selected and not 0 <= waited < DRAIN_SECONDS else before.splitting


def _has_lost(before: TrafficShare, shares: Sequence[TrafficShare]) -> bool:
    after = next((share for share in shares if share.name == before.name), TrafficShare(name=before.name))
    return after.weight < before.weight or after.mirror < before.mirror


def _without_addresses(shares: Sequence[TrafficShare]) -> list[TrafficShare]:
    return [share.model_copy(update={"address": None}) for share in shares]
