"""Where a life takes place, and what it can do there."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead.core import names
from fairlead.kube.client import KubeClient
from fairlead.kube.kinds import POD, TRAINING_JOB, Kind

from tests.chaos.operator.kubelet import Kubelet, Script
from tests.support.launchers import SimulatedLaunchers

Object = dict[str, Any]
NAME = "digits"
_SECONDS, _POLL_SECONDS = 240.0, 0.25


class Unfinished(Exception):
    """A life did not reach its next step in time."""


@dataclass(frozen=True)
class Stage:
    """Where a life takes place."""

    kube: KubeClient
    namespace: str
    script: Script
    models: Path
    """A folder with the models `one`, `two`, `three` and `bad`."""
    kubelet: Kubelet
    launcher: SimulatedLaunchers | None = None
    """The launcher of this life alone, if it has one."""
    arm: Callable[[], None] = lambda: None
    """Lets the fault happen from now on, in a life that prepares something before."""

    async def create(self, kind: Kind, obj: Object) -> None:
        """Create the resource of the life."""
        await self.kube.create(kind, obj | {"metadata": {"name": NAME}}, self.namespace)

    async def patch(self, kind: Kind, spec: Object) -> None:
        """Change its spec."""
        await self.kube.patch(kind, NAME, {"spec": spec}, self.namespace)

    async def annotate(self, kind: Kind, name: str, value: str) -> None:
        """Set an annotation of it."""
        await self.kube.patch(kind, NAME, {"metadata": {"annotations": {name: value}}}, self.namespace)

    async def read(self, kind: Kind) -> Object:
        """Return it."""
        return await self.kube.get(kind, NAME, self.namespace)

    async def wait(self, kind: Kind, what: str, test: Callable[[Object], bool]) -> None:
        """Wait until a test of the resource is true; raises Unfinished."""
        await self.wait_until(what, lambda: self._test(kind, test))

    async def wait_until(self, what: str, test: Callable[[], Awaitable[bool]]) -> None:
        """Wait until a test is true; raises Unfinished."""
        try:
            async with asyncio.timeout(_SECONDS):
                while not await test():  # noqa: ASYNC110 - the change happens on the server
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise Unfinished(f"not {what} after {_SECONDS:.0f} s") from None

    async def children(self, kind: Kind) -> list[Object]:
        """Return the children of a kind."""
        managed = f"{names.MANAGED_BY}={names.OPERATOR}"
        return await self.kube.list(kind, self.namespace, labels=managed)

    async def is_without(self, kind: Kind) -> bool:
        """Return whether it has no child of a kind."""
        return not await self.children(kind)

    async def has_running(self, pods: int) -> bool:
        """Return whether it has so many pods, and all of them run."""
        found = await self.children(POD)
        return len(found) == pods and all(pod.get("status", {}).get("phase") == "Running" for pod in found)

    async def list_uids(self, kind: Kind) -> set[str]:
        """Return the uids of its children of a kind."""
        return {child["metadata"]["uid"] for child in await self.children(kind)}

    async def is_gone(self) -> bool:
        """Return whether the life's job does not exist."""
        return await self.kube.find(TRAINING_JOB, NAME, self.namespace) is None

    async def _test(self, kind: Kind, test: Callable[[Object], bool]) -> bool:
        return test(await self.kube.get(kind, NAME, self.namespace))


@dataclass(frozen=True)
class Life:
    """One life. `run` ends when nothing more is expected to happen."""

    name: str
    kind: Kind
    run: Callable[[Stage], Awaitable[None]]
    failures: tuple[tuple[int, int], ...] = ()
    """(attempt, worker) pairs: the worker fails in the attempt."""
    held: bool = False
    """Whether pods run until the life releases them."""
    reports: bool = False
    """Whether it has a launcher of its own, whose status it changes."""
    prepares: bool = False
    """Whether faults happen only after it has armed them."""

    def script(self) -> Script:
        """Return how its pods behave."""
        script = Script(dict(self.failures))
        if not self.held:
            script.released.set()
        return script


def has_phase(*expected: str) -> Callable[[Object], bool]:
    """Return a test of a job's phase."""
    return lambda job: job.get("status", {}).get("phase") in expected
