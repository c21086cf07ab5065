"""A cluster-wide installation looks for those of certain namespaces, which would reconcile the same resources."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import aiohttp

from fairlead.core.names import SCOPE_LEASE
from fairlead.kube.client import KubeClient
from fairlead.kube.errors import ApiError
from fairlead.kube.kinds import LEASE

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 20.0
"""Seconds between two looks; longer than a holder takes to renew its lease."""

Claims = Mapping[str, tuple[str, Any]]
"""The holder of each namespace's lease and its last renewal, by namespace."""


async def warn_of_neighbors(kube: KubeClient, installation: str) -> None:
    """Warn once of each namespace on which another installation works, until cancelled.

    Users of a namespace can write its lease, so that nothing else follows from it.
    """
    before: Claims = {}
    warned: frozenset[str] = frozenset()
    while True:
        try:
            leases = await kube.list(LEASE, fields=f"metadata.name={SCOPE_LEASE}")
        except (ApiError, aiohttp.ClientError, TimeoutError) as error:
            _log.warning("the leases %s cannot be listed: %s", SCOPE_LEASE, error or type(error).__name__)
        else:
            claims = read_claims(leases, installation)
            active = find_renewed(before, claims)
            for namespace in sorted(active - warned):
                _log.warning(
                    "another installation, %s, works on the namespace %s, too: see its lease %s",
                    claims[namespace][0], namespace, SCOPE_LEASE,
                )  # fmt: skip
            before, warned = claims, active
        await asyncio.sleep(_LOOK_SECONDS)


def read_claims(leases: Iterable[Mapping[str, Any]], installation: str) -> Claims:
    """Return the claims of other installations."""
    specs = {lease["metadata"]["namespace"]: lease.get("spec") or {} for lease in leases}
    return {
        namespace: (str(holder), spec.get("renewTime"))
        for namespace, spec in specs.items()
        if (holder := spec.get("holderIdentity")) and holder != installation
    }


def find_renewed(before: Claims, now: Claims) -> frozenset[str]:
    """Return the namespaces whose claim was renewed between two looks: clocks of others are not compared with ours."""
    return frozenset(name for name, claim in now.items() if name in before and before[name] != claim)
