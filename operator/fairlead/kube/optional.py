"""Kinds that not every cluster has, or not every resource uses: watched from the first resource on that asks for them.

Where a kind does not exist, or where the operator may not read it, that is a fact about these resources, and nothing
else suffers. The watch goes on trying, so that a kind that is installed later is noticed.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fairlead.core.model_deployment.observed import Refusal
from fairlead.kube.children import SELECTOR, ChildCache
from fairlead.kube.client import KubeClient
from fairlead.kube.errors import ApiError
from fairlead.kube.kinds import Kind
from fairlead.kube.reflector import Reflector

_log = logging.getLogger(__name__)

_REFUSALS: dict[int, Refusal] = {403: "forbidden", 404: "missing"}


@dataclass
class OptionalReflector(Reflector):
    """A reflector of a kind that the API server may not have."""

    refusal: Refusal = ""
    """Why there is nothing to watch."""

    @property
    def watching(self) -> bool:
        """Return whether the cache is complete."""
        return self.synced.is_set() and not self.refusal

    @property
    def pending(self) -> bool:
        """Return whether the first list has not been answered yet."""
        return not self.watching and not self.refusal

    async def list(self) -> str:
        """Merge a complete list into the cache; return its resourceVersion."""
        version = await super().list()
        self.refusal = ""
        return version

    def note_failure(self, error: Exception) -> None:
        """Remember that there is nothing to watch, and forget what there was; log other errors.

        What was listed before stays known while it cannot be listed again, as of any other kind.
        """
        refusal = _REFUSALS.get(error.code, "") if isinstance(error, ApiError) else ""
        if not refusal:
            super().note_failure(error)
            if not self.synced.is_set():
                self.refusal = "unreadable"
            return
        if refusal != self.refusal:
            _log.warning("%s of %s: %s, looking again later", self.kind.plural, self.kind.api_version, refusal)
        self.refusal = refusal
        self.cache.clear(self.kind, self.namespace)


class OptionalKinds:
    """Such kinds in the watched namespaces, or in all of them; none is watched before the first question."""

    def __init__(self, kube: KubeClient, children: ChildCache, namespaces: Sequence[str] = ()) -> None:
        self._kube, self._children, self._everywhere = kube, children, not namespaces
        self._reflectors: dict[tuple[Kind, str | None], OptionalReflector] = {}
        self._asked: asyncio.Queue[OptionalReflector] = asyncio.Queue()

    async def run(self) -> None:
        """Watch what has been asked for, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task((await self._asked.get()).run())

    def watch(self, kind: Kind, namespace: str) -> OptionalReflector:
        """Return what watches a kind for a namespace; ask for it if it is the first time."""
        place = (kind, None if self._everywhere else namespace)
        if place not in self._reflectors:
            reflector = OptionalReflector(self._kube, self._children, *place, SELECTOR)
            self._reflectors[place] = reflector
            self._asked.put_nowait(reflector)
        return self._reflectors[place]

    def watched(self) -> Iterator[tuple[Kind, str | None]]:
        """Yield the kinds that are in the cache, and the namespace of each, or None for all of them."""
        yield from (place for place, reflector in self._reflectors.items() if reflector.watching)
