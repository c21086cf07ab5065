"""SeldonDeployments: watched from the first deployment on that uses them, where Seldon Core is installed.

Where it is not, or where the operator may not read them, that is a fact about these deployments, and nothing else
suffers. The watch goes on trying, so that a Seldon Core that is installed later is noticed.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fairlead.core.model_deployment.observed import ObservedSeldon, Refusal
from fairlead.core.views import ChildView, SeldonView
from fairlead.kube.children import SELECTOR, ChildCache
from fairlead.kube.client import KubeClient
from fairlead.kube.errors import ApiError
from fairlead.kube.kinds import SELDON_DEPLOYMENT
from fairlead.kube.reflector import Reflector

_log = logging.getLogger(__name__)

_REFUSALS: dict[int, Refusal] = {403: "forbidden", 404: "missing"}


@dataclass
class OptionalReflector(Reflector):
    """A reflector of SeldonDeployments, which the API server may not have."""

    refusal: Refusal = ""
    """Why there is nothing to watch."""

    @property
    def watching(self) -> bool:
        """Return whether the cache is complete."""
        return self.synced.is_set() and not self.refusal

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


class SeldonDeployments:
    """The SeldonDeployments of the watched namespaces, or of all; none are watched before the first question."""

    def __init__(self, kube: KubeClient, children: ChildCache, namespaces: Sequence[str] = ()) -> None:
        self._kube, self._children, self._everywhere = kube, children, not namespaces
        self._reflectors: dict[str | None, OptionalReflector] = {}
        self._asked: asyncio.Queue[OptionalReflector] = asyncio.Queue()

    async def run(self) -> None:
        """Watch what has been asked for, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task((await self._asked.get()).run())

    def observe(self, namespace: str, uid: str) -> ObservedSeldon:
        """Return what is seen for the deployment with this uid."""
        reflector = self._watch(None if self._everywhere else namespace)
        if not reflector.watching:
            return ObservedSeldon(refusal=reflector.refusal, pending=not reflector.refusal)
        owned = (child.view for child in self._children.owned_by(uid))
        views = tuple(view for view in owned if isinstance(view, SeldonView))
        theirs = (child.view for view in views for child in self._children.owned_by(view.uid))
        return ObservedSeldon(views, tuple(view for view in theirs if isinstance(view, ChildView)))

    def watched(self) -> Iterator[str | None]:
        """Yield the namespaces, or None for all, whose SeldonDeployments are in the cache."""
        yield from (namespace for namespace, reflector in self._reflectors.items() if reflector.watching)

    def _watch(self, namespace: str | None) -> OptionalReflector:
        """Return the reflector of a namespace, or of all of them; ask for it if it is the first time."""
        if namespace not in self._reflectors:
            reflector = OptionalReflector(self._kube, self._children, SELDON_DEPLOYMENT, namespace, SELECTOR)
            self._reflectors[namespace] = reflector
            self._asked.put_nowait(reflector)
        return self._reflectors[namespace]
