"""One pod on the node: its volumes, its containers in order, its status in the API, and its end."""

import asyncio
import contextlib
import json
import logging
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
from fairlead.kube.client import KubeClient
from fairlead.kube.errors import ApiError
from fairlead.kube.kinds import POD

from fairlead_cluster.local.node.backoff import retry_delay
from fairlead_cluster.local.node.container import Container
from fairlead_cluster.local.node.context import Machine, PodContext, Report
from fairlead_cluster.local.node.environment import NotConfigured, Sources
from fairlead_cluster.local.node.objects import Object, init_containers, pod_containers, pod_key, timestamp
from fairlead_cluster.local.node.processes import end_processes
from fairlead_cluster.local.node.status import PodView, derive_status
from fairlead_cluster.local.node.support import check_support
from fairlead_cluster.local.node.volumes import make_volumes

LoadSources = Callable[[Object], Awaitable[Sources]]
_log = logging.getLogger(__name__)


class PodWorker:
    """Runs one pod as the API describes it. After a restart of the node, it finds its processes again."""

    def __init__(
        self, pod: Object, folder: Path, machine: Machine, client: KubeClient, load: LoadSources, report: Report
    ) -> None:
        """Take a pod that has an address in its `status.podIP`."""
        self.folder = folder
        self._client = client
        self._dirty = asyncio.Event()
        self._context = PodContext(
            pod, folder, machine, lambda: load(self._context.pod), changed=self._dirty.set, report=report
        )
        policy = self._context.restart_policy
        init_policy = "Never" if policy == "Never" else "OnFailure"
        self._init = [Container(self._context, spec, restart_policy=init_policy) for spec in init_containers(pod)]
        self._main = [Container(self._context, spec, restart_policy=policy) for spec in pod_containers(pod)]
        self._started_at = pod["status"].get("startTime") or timestamp()
        self._written: Object = {}
        self._deleting = False
        self._stops: set[asyncio.Task[None]] = set()
        self._tasks = [asyncio.create_task(self._live()), asyncio.create_task(self._write_changes())]

    def update(self, pod: Object) -> None:
        """Accept a newer version of the pod; one that is being deleted is stopped, and its object removed."""
        pod["status"] = {**pod.get("status", {}), "podIP": self._context.address}
        self._context.pod = pod
        meta = pod["metadata"]
        if "deletionTimestamp" in meta and not self._deleting:
            self._deleting = True
            task = asyncio.create_task(self._delete(float(meta.get("deletionGracePeriodSeconds") or 0)))
            self._stops.add(task)

    async def forget(self) -> None:
        """Stop everything immediately and clean up: the pod no longer exists in the API."""
        for task in [*self._tasks, *self._stops]:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._stops, return_exceptions=True)
        await asyncio.to_thread(end_processes, self.folder, 0.0)
        await asyncio.to_thread(shutil.rmtree, self.folder, True)

    def detach(self) -> None:
        """Stop managing the pod and leave its processes running."""
        for task in [*self._tasks, *self._stops]:
            task.cancel()

    async def _live(self) -> None:
        """Run the pod's containers to their end."""
        try:
            self._dirty.set()
            await self._prepare()
            for container in self._init:
                if not await container.run():
                    return
            for container in self._main:
                container.wait_for("ContainerCreating")
            await asyncio.gather(*(container.run() for container in self._main))
        except Exception:  # noqa: BLE001 - the outermost loop of a pod: others must go on
            _log.exception("pod %s: the node's own error", pod_key(self._context.pod))
        finally:
            self._dirty.set()

    async def _prepare(self) -> None:
        """Write the volumes, waiting for the objects that they need."""
        if self._init:
            for container in self._main:
                container.wait_for("PodInitializing")
        reported, record = "", self.folder / "volumes.json"
        if record.exists():  # written before the node was restarted; its sources may be gone by now
            self._context.volumes = {name: Path(path) for name, path in json.loads(record.read_text()).items()}
            return
        for attempt in range(1_000_000):
            if self._deleting:
                return
            try:
                if problems := check_support(self._context.pod):
                    raise NotConfigured("; ".join(problems))
                sources = await self._context.load_sources()
                volumes = make_volumes(self._context.pod, sources, self.folder / "volumes")
                record.write_text(json.dumps({name: str(path) for name, path in volumes.items()}))
                self._context.volumes = volumes
                return
            except NotConfigured as error:
                for container in [*self._init, *self._main]:
                    container.wait_for("ContainerCreating", str(error))
                if attempt >= 5 and reported != str(error):  # a missing object may soon exist
                    reported = str(error)
                    self._context.report("Warning", "FailedMount", reported)
            await asyncio.sleep(retry_delay(attempt))

    async def _delete(self, grace_seconds: float) -> None:
        """Stop the containers, write their final status and remove the object."""
        await asyncio.gather(*(item.stop(grace_seconds) for item in [*self._init, *self._main]))
        await self._tasks[0]
        meta = self._context.pod["metadata"]
        for attempt in range(1_000_000):
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, ApiError):
                await self._write()
                await self._client.delete(POD, meta["name"], meta["namespace"], grace_seconds=0, uid=meta["uid"])
                return
            await asyncio.sleep(retry_delay(attempt))

    async def _write_changes(self) -> None:
        """Write the status as soon as it changes."""
        attempt = 0
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            try:
                await self._write()
                attempt = 0
            except ApiError as error:
                if error.code not in (404, 409):
                    _log.warning("pod %s: status: %s", pod_key(self._context.pod), error)
                    await asyncio.sleep(retry_delay(attempt := attempt + 1))
                    self._dirty.set()
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(retry_delay(attempt := attempt + 1))
                self._dirty.set()

    async def _write(self) -> None:
        view = PodView(
            restart_policy=self._context.restart_policy,
            address=self._context.address,
            started_at=self._started_at,
            init=[item.view for item in self._init],
            containers=[item.view for item in self._main],
            deleting=self._deleting,
        )
        meta = self._context.pod["metadata"]
        status = derive_status(view, self._context.pod["status"])
        if status == self._written:
            return
        # the uid makes this fail for a recreated pod of the same name
        body = {"metadata": {"uid": meta["uid"]}, "status": status}
        await self._client.patch(POD, meta["name"], body, meta["namespace"], "status")
        self._written = status
