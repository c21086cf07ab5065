"""The documents of servers in a rollout or with several predictors, and the evidence in what they have counted."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from fairlead_contracts.traffic import (
    BOUNDS,
    Agreement,
    Counts,
    Route,
    Sticky,
    TrafficDocument,
    TrafficFacts,
    quantile,
)

from fairlead.api.model_deployment import ModelDeployment, ModelDeploymentStatus
from fairlead.api.traffic import TrafficStatus
from fairlead.core import names
from fairlead.core.model_deployment.observed import ServerReading
from fairlead.core.model_deployment.rollout import Command
from fairlead.core.model_deployment.shares import DRAIN_SECONDS, list_known
from fairlead.core.model_deployment.verdicts import Evidence

BUSY_SECONDS, COUNT_SECONDS, _IDLE_SECONDS = 2.0, 15.0, 60.0
_LARGEST, _FARTHEST = (1 << 53) - 1, 1e300
"""What a status can hold."""
MAX_DRAIN_SECONDS = 30.0
_COMMAND = re.compile(r"(pause|resume|promote|abort|retry) ([0-9a-f]{8}) ([A-Za-z0-9-]{1,64})")


def build_documents(deployment: ModelDeployment) -> dict[str, TrafficDocument]:
    """Return the document for each revision or predictor, from the stored status alone; empty if none gets one."""
    status = deployment.status
    if status.traffic is not None:
        return {name: _build_split(status.traffic, name) for name in list_known(status.traffic)}
    if status.stable_revision is None or status.rollout is None:
        return {}
    document = TrafficDocument(
        revision=status.stable_revision,
        generation=max(1, status.rollout.generation),
        window=status.rollout.window,
        routes=_build_routes(deployment),
    )
    return {status.stable_revision: document}


def as_first(document: TrafficDocument) -> TrafficDocument:
    """Return the document with which servers start: of a generation that any other replaces.

    It changes only with the routes, and not with each window.
    """
    return document.model_copy(update={"generation": 1, "window": 0})


def is_in_force(status: ModelDeploymentStatus, facts: TrafficFacts | None) -> bool:
    """Return whether a server does what the status says, and counts in its window."""
    if facts is None:
        return False
    if state := status.traffic:
        told = facts.revision in list_known(state)
        return told and (facts.generation, facts.window) == (state.generation, state.window)
    if (rollout := status.rollout) is None:
        return False
    expected = (status.stable_revision, rollout.generation, rollout.window)
    return (facts.revision, facts.generation, facts.window) == expected


def count_in_force(status: ModelDeploymentStatus, servers: Iterable[ServerReading]) -> int:
    """Return the number of servers that do what the status says."""
    return sum(is_in_force(status, server.facts) for server in servers)


def is_drained(moved_at: datetime | None, confirmed: bool, now: datetime) -> bool:
    """Return whether nothing is sent any more to what lost its traffic at a time; `confirmed` if all servers say so.

    Services change their routes in the shorter time; if servers do not say so, the longer one has to do.
    """
    waited = (now - moved_at).total_seconds() if moved_at else MAX_DRAIN_SECONDS
    if waited >= MAX_DRAIN_SECONDS:
        return True
    # if the clock has gone back, only what servers say is known
    return confirmed and not 0 <= waited < DRAIN_SECONDS


def poll_seconds(deployment: ModelDeployment) -> float:
    """Return how often servers are asked: often while something changes, else to notice ones that have changed."""
    policy, status = deployment.spec.rollout, deployment.status
    if state := status.traffic:
        return COUNT_SECONDS if state.confirmed >= state.servers else BUSY_SECONDS
    if policy and status.candidate_revision:
        return min(BUSY_SECONDS, policy.analysis.interval_seconds / 2)
    unconfirmed = status.rollout and status.rollout.confirmed < status.rollout.servers
    return BUSY_SECONDS if unconfirmed else _IDLE_SECONDS


def read_evidence(
    status: ModelDeploymentStatus, servers: Iterable[ServerReading], max_p99_seconds: float | None
) -> Evidence:
    """Add up what the servers have counted of the candidate in the current window."""
    found = [
        route
        for server in servers
        if server.facts and is_in_force(status, server.facts)
        for route in server.facts.routes
        if route.name == status.candidate_revision
    ]
    counts = [each for route in found for each in (route.counts, route.mirrored)]
    return add_up(counts, [route.agreement for route in found], max_p99_seconds)


def add_up(counts: Sequence[Counts], agreements: Sequence[Agreement], max_p99_seconds: float | None = None) -> Evidence:
    """Add up counts. Tenants' pods report them: sums are bounded, and no part is larger than its whole."""
    latency = [sum(column) for column in zip(*(each.latency for each in counts), strict=True)]
    requests = min(_LARGEST, sum(each.requests for each in counts))
    compared = min(_LARGEST, sum(agreement.compared for agreement in agreements))
    p99 = quantile(Counts.model_construct(latency=tuple(latency)), 0.99) if latency else None
    return Evidence(
        requests=requests,
        errors=min(requests, sum(each.errors for each in counts)),
        slow=min(requests, _count_slow(latency, max_p99_seconds)),
        p99_seconds=p99,
        compared=compared,
        agreed=min(compared, sum(agreement.agreed for agreement in agreements)),
        dropped=min(_LARGEST, sum(agreement.dropped for agreement in agreements)),
        max_distance=min(_FARTHEST, max((agreement.max_distance for agreement in agreements), default=0.0)),
    )


def read_command(deployment: ModelDeployment) -> Command | None:
    """Return the command in the annotation; None if there is none, or none that is known."""
    text = (deployment.metadata.annotations or {}).get(names.ROLLOUT_COMMAND, "")
    found = _COMMAND.fullmatch(text)
    return Command(*found.groups()) if found else None


def _build_routes(deployment: ModelDeployment) -> tuple[Route, ...]:
    status, rollout = deployment.status, deployment.status.rollout
    if status.candidate_revision is None or rollout is None or not rollout.address:
        return ()
    return (_build_route(status.candidate_revision, rollout.address, rollout.weight, rollout.mirror),)


def _build_split(state: TrafficStatus, server: str) -> TrafficDocument:
    """Return what the servers of a predictor do: only those that split have routes, to all other predictors."""
    routes = tuple(
        _build_route(share.name, share.address, share.weight, share.mirror)
        for share in state.shares
        if server in state.splitting and share.name != server and share.address and (share.weight or share.mirror)
    )
    sticky = Sticky(header=state.stickiness.header, cookie=state.stickiness.cookie) if state.stickiness else None
    return TrafficDocument(
        revision=server, generation=state.generation, window=state.window, routes=routes, sticky=sticky
    )


def _build_route(name: str, address: str, weight: int, mirror: int) -> Route:
    # an address and no name, which would have to be resolved for each connection, or kept for longer than it holds
    return Route(
        name=name,
        host=address,
        port=names.SERVING_PORT,
        grpc_port=names.GRPC_PORT,
        percent=weight,
        mirror_percent=mirror,
    )


def _count_slow(latency: Sequence[int], limit: float | None) -> int:
    """Return how many requests surely took longer than a limit: those of the buckets that begin at it or above."""
    if limit is None or not latency:
        return 0
    lower = (0.0, *BOUNDS)
    return sum(count for start, count in zip(lower, latency, strict=True) if start >= limit)
