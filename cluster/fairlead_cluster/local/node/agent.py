"""The node agent: watches the API, starts a worker per pod, and keeps Services and names up to date."""

import asyncio
import ipaddress
import json
import logging
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from fairlead.kube.client import KubeClient
from fairlead.kube.errors import ApiError
from fairlead.kube.kinds import POD, SERVICE, Kind

from fairlead_cluster.local.node.context import Machine, Report
from fairlead_cluster.local.node.images import Images
from fairlead_cluster.local.node.logs import LogServer
from fairlead_cluster.local.node.names import build_hosts
from fairlead_cluster.local.node.objects import Object, pod_finished, pod_key, timestamp
from fairlead_cluster.local.node.paths import plain_path
from fairlead_cluster.local.node.processes import end_processes
from fairlead_cluster.local.node.registration import NAME, keep_alive, register
from fairlead_cluster.local.node.rotation import keep_short
from fairlead_cluster.local.node.services import ServiceProxy, derive_routes
from fairlead_cluster.local.node.sources import load_sources
from fairlead_cluster.local.node.worker import PodWorker

_log = logging.getLogger(__name__)
_TROUBLE = (aiohttp.ClientError, ApiError, OSError, TimeoutError)
_RETRY_SECONDS = 0.5
_EVENT = Kind("", "v1", "events", "Event")
"""As a kubelet writes it: a node may not create those of the group events.k8s.io."""


@dataclass(frozen=True)
class NodeSettings:
    """Paths and addresses of the node."""

    kubeconfig: Path
    folder: Path
    """Holds `pods/` and the hosts file."""
    pki: Path
    port: int
    """Serves logs to the API server."""
    pod_range: str
    images: Images


class NodeAgent:
    """A node of the cluster while `run` runs; its pods' processes keep running without it."""

    def __init__(self, settings: NodeSettings) -> None:
        """Prepare the node's folders."""
        self._settings = settings
        (settings.folder / "pods").mkdir(parents=True, exist_ok=True)
        self._pods_folder = plain_path(settings.folder / "pods")
        self._machine = Machine(settings.images, self._pods_folder, settings.folder / "hosts")
        self._machine.hosts.touch()
        self._client = KubeClient.from_kubeconfig(settings.kubeconfig)
        self._addresses = _Addresses(settings.pod_range, self._pods_folder)
        self._pods: dict[str, Object] = {}
        self._services: dict[str, Object] = {}
        self._workers: dict[str, PodWorker] = {}
        self._network_changed = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Run the node until cancelled."""
        logs = LogServer(self._pods_folder, self._settings.pki)
        async with self._client:
            await logs.start(self._settings.port)
            try:
                await _persist(lambda: register(self._client, self._settings.port))
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(_persist(lambda: keep_alive(self._client, self._settings.port)))
                    tasks.create_task(_persist(lambda: self._follow(POD, f"spec.nodeName={NAME}", self._pod_event)))
                    tasks.create_task(_persist(lambda: self._follow(SERVICE, None, self._service_event)))
                    tasks.create_task(self._keep_network())
                    tasks.create_task(keep_short(self._settings.folder / "processes", self._pods_folder))
            finally:
                for worker in self._workers.values():
                    worker.detach()
                await logs.stop()

    async def _follow(self, kind: Kind, fields: str | None, handle: Callable[[str, Object], Awaitable[None]]) -> None:
        """Handle all existing objects, those deleted while not watching, and every change."""
        known = self._pods if kind is POD else self._services
        listed = {item["metadata"]["uid"] for item in await self._client.list(kind, fields=fields)}
        for item in [item for uid, item in known.items() if uid not in listed]:
            await handle("DELETED", item)
        if kind is POD:
            await self._end_unknown(listed)
        async for event, item in self._client.watch(kind, fields=fields):
            await handle(event, item)

    async def _service_event(self, event: str, service: Object) -> None:
        if event == "DELETED":
            self._services.pop(service["metadata"]["uid"], None)
        else:
            self._services[service["metadata"]["uid"]] = service
        self._network_changed.set()

    async def _pod_event(self, event: str, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if event == "DELETED":
            self._pods.pop(uid, None)
            self._addresses.release(uid)
            worker = self._workers.pop(uid, None)
            task = asyncio.create_task(worker.forget() if worker else self._clean(self._folder(pod)))
            self._background.add(task)
            task.add_done_callback(self._background.discard)
        else:
            self._pods[uid] = pod
            self._serve_pod(uid, pod)
        self._network_changed.set()

    def _serve_pod(self, uid: str, pod: Object) -> None:
        if uid in self._workers:
            self._workers[uid].update(pod)
        elif not pod_finished(pod) or "deletionTimestamp" in pod["metadata"]:
            folder = self._folder(pod)
            folder.mkdir(parents=True, exist_ok=True)
            pod["status"] = {**pod.get("status", {}), "podIP": self._addresses.of(uid, folder)}
            load = lambda pod: load_sources(self._client, pod)  # noqa: E731
            self._workers[uid] = PodWorker(pod, folder, self._machine, self._client, load, self._reporter(pod))
            self._workers[uid].update(pod)

    def _folder(self, pod: Object) -> Path:
        meta = pod["metadata"]
        return self._pods_folder / f"{meta['namespace']}_{meta['name']}_{meta['uid']}"

    async def _end_unknown(self, uids: set[str]) -> None:
        """Clean up after pods that were deleted while no node agent ran."""
        for folder in list(self._pods_folder.iterdir()):
            if folder.name.rpartition("_")[2] not in uids:
                await self._clean(folder)

    async def _clean(self, folder: Path) -> None:
        await asyncio.to_thread(end_processes, folder, 0.0)
        await asyncio.to_thread(shutil.rmtree, folder, True)

    async def _keep_network(self) -> None:
        """Bring the hosts file and the Services' sockets up to date after every change."""
        proxy = ServiceProxy()
        try:
            while True:
                await self._network_changed.wait()
                self._network_changed.clear()
                services, pods = list(self._services.values()), list(self._pods.values())
                _replace_text(self._machine.hosts, build_hosts(services, pods))
                await proxy.update(derive_routes(services, pods))
        finally:
            proxy.close()

    def _reporter(self, pod: Object) -> Report:
        """Return what writes events about a pod."""
        meta = pod["metadata"]
        regarding = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "namespace": meta["namespace"]}
        regarding["uid"] = meta["uid"]

        def report(kind: str, reason: str, message: str) -> None:
            now = timestamp()
            event = {
                "apiVersion": _EVENT.api_version,
                "kind": _EVENT.kind,
                "metadata": {"generateName": f"{meta['name']}.", "namespace": meta["namespace"]},
                "source": {"component": "fairlead.dev/process-node", "host": NAME},
                "reason": reason,
                "type": kind,
                "message": message[:1024],
                "involvedObject": regarding,
                "count": 1,
                "firstTimestamp": now,
                "lastTimestamp": now,
            }
            _log.info("pod %s: %s: %s", pod_key(pod), reason, message)
            task = asyncio.create_task(self._write_event(event))
            self._background.add(task)
            task.add_done_callback(self._background.discard)

        return report

    async def _write_event(self, event: Object) -> None:
        try:
            await self._client.create(_EVENT, event)
        except _TROUBLE as error:  # events are for users; the log has the same content
            _log.warning("an event was not written: %s: %s", type(error).__name__, error)


class _Addresses:
    """Assigns each pod a loopback address and records it in the pod's folder."""

    def __init__(self, pod_range: str, pods: Path) -> None:
        self._hosts = ipaddress.ip_network(pod_range)
        self._used: dict[str, str] = {}
        for path in pods.glob("*/address.json"):
            self._used[path.parent.name.rpartition("_")[2]] = json.loads(path.read_text())
        numbers = [int(ipaddress.ip_address(address)) for address in self._used.values()]
        self._next = max(numbers, default=int(self._hosts[0])) + 1

    def of(self, uid: str, folder: Path) -> str:
        """Return a pod's address, choosing one if it has none: the next one, as used ones may linger in caches."""
        if uid not in self._used:
            used = set(self._used.values())
            while (address := str(ipaddress.ip_address(self._next))) in used or self._next % 256 in (0, 255):
                self._advance()
            self._used[uid] = address
            self._advance()
            (folder / "address.json").write_text(json.dumps(address))
        return self._used[uid]

    def release(self, uid: str) -> None:
        """Release a pod's address."""
        self._used.pop(uid, None)

    def _advance(self) -> None:
        self._next += 1
        if self._next >= int(self._hosts[-1]):
            self._next = int(self._hosts[1])


async def _persist(work: Callable[[], Awaitable[None]]) -> None:
    """Retry a function that calls the API server until it succeeds."""
    while True:
        try:
            return await work()
        except _TROUBLE as error:
            _log.warning("the API server: %s: %s; retrying", type(error).__name__, error)
            await asyncio.sleep(_RETRY_SECONDS)


def _replace_text(path: Path, text: str) -> None:
    if path.read_text() != text:
        fresh = path.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(path)
