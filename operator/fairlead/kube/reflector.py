"""Watches of children: list, follow, and list again after any error.

Works like client-go's reflector. Watch requests are short, so that a stalled one is detected soon
(`KubeClient.follow`).
"""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from fairlead.kube.cache import Cache
from fairlead.kube.client import KubeClient
from fairlead.kube.errors import ApiError
from fairlead.kube.kinds import Kind

_log = logging.getLogger(__name__)

FOLLOW_SECONDS = 20.0
"""The duration of a watch request. A stalled watch is replaced within 30 s."""
_INITIAL_BACKOFF, _MAX_BACKOFF = 0.2, 10.0
WATCH_ERRORS = (ApiError, aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError)
"""Expected errors of a list or a watch. Any other error is a bug."""


@dataclass
class Reflector:
    """Keeps a cache up to date with one kind in one namespace, or in all of them (None)."""

    kube: KubeClient
    cache: Cache[Any]
    kind: Kind
    namespace: str | None
    labels: str
    metadata_only: bool = False
    seconds: float = FOLLOW_SECONDS
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    """Set after the first complete list."""

    async def run(self) -> None:
        """Watch until cancelled."""
        backoff = _INITIAL_BACKOFF
        while True:
            try:
                version = await self.list()
                backoff = _INITIAL_BACKOFF
                await self._follow(version)
            except WATCH_ERRORS as error:
                self.note_failure(error)
                await asyncio.sleep(backoff)
                backoff = min(2 * backoff, _MAX_BACKOFF)

    def note_failure(self, error: Exception) -> None:
        """Log why the list or the watch has failed, after which there is another list."""
        _log.warning("watch of %s failed, listing again: %s: %s", self.kind.plural, type(error).__name__, error)

    async def list(self) -> str:
        """Merge a complete list into the cache; return its resourceVersion."""
        objects, version = await self.kube.list_at_version(
            self.kind, self.namespace, self.labels, metadata_only=self.metadata_only
        )
        self.cache.replace(self.kind, self.namespace, objects, version)
        self.synced.set()
        return version

    async def _follow(self, version: str) -> None:
        """Cache every change until the version expires."""
        changes = self.kube.follow(
            self.kind, version, self.namespace, self.labels, metadata_only=self.metadata_only, seconds=self.seconds
        )
        async for event, obj in changes:
            if event == "DELETED":
                self.cache.drop(obj)
            elif event != "BOOKMARK":
                self.cache.put(self.kind, obj)
