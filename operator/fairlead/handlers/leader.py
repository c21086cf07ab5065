"""Leader election with a Lease: one operator is active, the others wait to take over."""

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Any

import aiohttp

from fairlead.kube.client import KubeClient
from fairlead.kube.errors import ApiError
from fairlead.kube.kinds import LEASE

_log = logging.getLogger(__name__)

_DURATION, _RENEW, _RETRY = 15.0, 5.0, 2.0
"""Seconds that a lease lasts, between renewals and between attempts to acquire it, as in client-go."""
_ATTEMPT_TIMEOUT = 2.5
"""Seconds that an attempt may take, so that the last one finishes before the lease expires."""


class LeaderElection:
    """Holds a Lease in one namespace under one identity."""

    def __init__(self, kube: KubeClient, namespace: str, identity: str, name: str) -> None:
        self._kube, self._namespace, self._identity, self._name = kube, namespace, identity, name
        # expiry is measured with our own clock: another holder's clock may be wrong
        self._seen: tuple[Any, float] = (None, 0.0)
        self._renewed = -_DURATION
        """When the last successful renewal was sent: others count the lease's duration from a later time."""

    def may_write(self) -> bool:
        """Return whether a write may start now: the lease is held, and its renewal is not overdue.

        This process may have been paused, so what it knew a moment ago is no answer.
        """
        return time.monotonic() - self._renewed < _DURATION - _RENEW

    async def acquire(self) -> None:
        """Wait until this process is the leader."""
        while not await self._try():  # noqa: ASYNC110 - the change happens on the server
            await asyncio.sleep(_RETRY)
        _log.info("holding the lease %s/%s as %s", self._namespace, self._name, self._identity)

    async def hold(self) -> None:
        """Renew the lease; returns when it is lost, after which this process must stop."""
        while self.may_write():
            await asyncio.sleep(_RENEW if time.monotonic() - self._renewed < _RENEW else _RETRY)
            await self._try()
        _log.error("lost the lease %s/%s", self._namespace, self._name)

    async def claim(self) -> None:
        """Try to hold the lease, and warn while another installation does, until cancelled."""
        warned = False
        while True:
            held = await self._try()
            if not held and not warned:
                _log.warning(
                    "another installation works on the namespace %s, too: see its lease %s", self._namespace, self._name
                )
            warned = not held
            await asyncio.sleep(_RENEW)

    async def release(self) -> None:
        """Try to release the lease, so that the next leader need not wait for its expiry."""
        try:
            async with asyncio.timeout(_ATTEMPT_TIMEOUT):
                lease = await self._kube.find(LEASE, self._name, self._namespace)
                if lease and lease["spec"].get("holderIdentity") == self._identity:
                    lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._kube.replace(LEASE, lease)
        except (ApiError, aiohttp.ClientError, TimeoutError) as error:
            problem = str(error) or type(error).__name__
            _log.warning("lease %s/%s: not released: %s", self._namespace, self._name, problem)

    async def _try(self) -> bool:
        """Acquire or renew the lease; return whether it is held now."""
        try:
            # the client's own retries may take longer than the lease lasts
            async with asyncio.timeout(_ATTEMPT_TIMEOUT):
                lease = await self._kube.find(LEASE, self._name, self._namespace)
                if lease is not None and not self._may_acquire(lease):
                    self._renewed = -_DURATION  # another one leads
                    return False
                sent = time.monotonic()
                if lease is None:
                    await self._kube.create(LEASE, self._build(), self._namespace)
                else:
                    await self._kube.replace(LEASE, self._build(lease))
                self._renewed = sent
                return True
        except ApiError as error:
            if error.code != 409:
                _log.warning("lease %s/%s: %s", self._namespace, self._name, error)
            return False
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.warning("lease %s/%s: %s", self._namespace, self._name, type(error).__name__)
            return False

    def _may_acquire(self, lease: dict[str, Any]) -> bool:
        holder = lease["spec"].get("holderIdentity")
        if not holder or holder == self._identity:
            return True
        state = (holder, lease["spec"].get("renewTime"))
        if self._seen[0] is None or holder != self._seen[0][0]:
            _log.info("waiting for the lease %s/%s, which %s holds", self._namespace, self._name, holder)
        if state != self._seen[0]:
            self._seen = (state, time.monotonic())
        return time.monotonic() - self._seen[1] > float(lease["spec"].get("leaseDurationSeconds", _DURATION))

    def _build(self, lease: dict[str, Any] | None = None) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before = lease["spec"] if lease else {}
        mine = before.get("holderIdentity") == self._identity
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(_DURATION),
            "renewTime": now,
            "acquireTime": before.get("acquireTime", now) if mine else now,
            "leaseTransitions": before.get("leaseTransitions", 0) + (0 if mine or not lease else 1),
        }
        metadata = lease["metadata"] if lease else {"name": self._name, "namespace": self._namespace}
        return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata, "spec": spec}
