"""What servers are told about a rollout, and the evidence in what they have counted."""

import re
from collections.abc import Iterable, Sequence

from fairlead_contracts.traffic import BOUNDS, Counts, Route, TrafficDocument, TrafficFacts, quantile

from fairlead.api.model_deployment import ModelDeployment, ModelDeploymentStatus
from fairlead.core import names
from fairlead.core.model_deployment.observed import ServerReading
from fairlead.core.model_deployment.rollout import Command
from fairlead.core.model_deployment.verdicts import Evidence

BUSY_SECONDS, _IDLE_SECONDS = 2.0, 60.0
_LARGEST = (1 << 53) - 1
_COMMAND = re.compile(r"(pause|resume|promote|abort|retry) ([0-9a-f]{8}) ([A-Za-z0-9-]{1,64})")


def build_document(deployment: ModelDeployment) -> TrafficDocument | None:
    """Return what the servers of the stable revision do, by the stored status alone; None without such a revision."""
    status = deployment.status
    if status.stable_revision is None or status.rollout is None:
        return None
    return TrafficDocument(
        revision=status.stable_revision,
        generation=max(1, status.rollout.generation),
        window=status.rollout.window,
        routes=_build_routes(deployment),
    )


def build_first_document(deployment: ModelDeployment) -> TrafficDocument | None:
    """Return the document with which servers start: that of `build_document`, of a generation that any other replaces.

    It changes only with the routes, and not with each window.
    """
    document = build_document(deployment)
    return document.model_copy(update={"generation": 1, "window": 0}) if document else None


def is_in_force(status: ModelDeploymentStatus, facts: TrafficFacts | None) -> bool:
    """Return whether a server does what the status says, and counts in its window."""
    rollout = status.rollout
    if facts is None or rollout is None:
        return False
    expected = (status.stable_revision, rollout.generation, rollout.window)
    return (facts.revision, facts.generation, facts.window) == expected


def count_in_force(status: ModelDeploymentStatus, servers: Iterable[ServerReading]) -> int:
    """Return the number of servers that do what the status says."""
    return sum(is_in_force(status, server.facts) for server in servers)


def poll_seconds(deployment: ModelDeployment) -> float:
    """Return how often servers are asked: often while there is a candidate, else to notice ones that have changed."""
    policy, status = deployment.spec.rollout, deployment.status
    if policy and status.candidate_revision:
        return min(BUSY_SECONDS, policy.analysis.interval_seconds / 2)
    unconfirmed = status.rollout and status.rollout.confirmed < status.rollout.servers
    return BUSY_SECONDS if unconfirmed else _IDLE_SECONDS


def read_evidence(
    status: ModelDeploymentStatus, servers: Iterable[ServerReading], max_p99_seconds: float | None
) -> Evidence:
    """Add up what the servers have counted of the candidate in the current window.

    They are a tenant's pods: sums are bounded by what a status can hold, and no part is larger than its whole.
    """
    found = [
        route
        for server in servers
        if server.facts and is_in_force(status, server.facts)
        for route in server.facts.routes
        if route.name == status.candidate_revision
    ]
    counts = [each for route in found for each in (route.counts, route.mirrored)]
    latency = [sum(column) for column in zip(*(each.latency for each in counts), strict=True)]
    requests = min(_LARGEST, sum(each.requests for each in counts))
    compared = min(_LARGEST, sum(route.agreement.compared for route in found))
    p99 = quantile(Counts.model_construct(latency=tuple(latency)), 0.99) if latency else None
    return Evidence(
        requests=requests,
        errors=min(requests, sum(each.errors for each in counts)),
        slow=min(requests, _count_slow(latency, max_p99_seconds)),
        p99_seconds=p99,
        compared=compared,
        agreed=min(compared, sum(route.agreement.agreed for route in found)),
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
    # an address and no name, which would have to be resolved for each connection, or kept for longer than it holds
    route = Route(
        name=status.candidate_revision,
        host=rollout.address,
        port=names.SERVING_PORT,
        grpc_port=names.GRPC_PORT,
        percent=rollout.weight,
        mirror_percent=rollout.mirror,
    )
    return (route,)


def _count_slow(latency: Sequence[int], limit: float | None) -> int:
    """Return how many requests surely took longer than a limit: those of the buckets that begin at it or above."""
    if limit is None or not latency:
        return 0
    lower = (0.0, *BOUNDS)
    return sum(count for start, count in zip(lower, latency, strict=True) if start >= limit)
