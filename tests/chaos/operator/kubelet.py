"""A simulated kubelet: it runs the pods of jobs by a script, and makes pods of deployments ready.

Pods with a revision have an address and a graph server of their own.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from fairlead.core import names
from fairlead.kube.client import KubeClient
from fairlead.kube.errors import ApiError
from fairlead.kube.kinds import POD, SERVICE
from fairlead_contracts.progress import ProgressReport
from fairlead_contracts.termination import Failure, FailureReport, StoppedReport, SuccessReport, encode_report

from tests.chaos.operator.graph_servers import GraphServers
from tests.chaos.operator.network import Gone, Network
from tests.support.launchers import serving_launchers

Object = dict[str, Any]
_WORK_SECONDS = 0.4
_ADDRESS = "127.200.0.2"
"""Of every pod whose script has no other one."""


@dataclass
class Script:
    """How the pods of one namespace's job behave."""

    failures: dict[int, int] = field(default_factory=dict)
    """The worker that fails in an attempt."""
    released: asyncio.Event = field(default_factory=asyncio.Event)
    """Pods run until this is set."""
    workers: int = 2
    """How many workers the job has."""
    address: str = _ADDRESS
    """The address of the pods, at which their launcher answers."""
    progress: ProgressReport = field(default_factory=lambda: ProgressReport(step=10, total_steps=10))
    """With which the job succeeds."""


class Kubelet:
    """Watches every pod and Service. Use `run` as a task."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube
        self.scripts: dict[str, Script] = {}
        """By namespace; pods of other namespaces stay pending."""
        self.network = Network()
        self.graphs = GraphServers(kube, self.network)
        self._changed = asyncio.Condition()
        self._runners: dict[str, web.AppRunner] = {}

    async def run(self) -> None:
        """Run until cancelled."""
        with serving_launchers(_ADDRESS):
            await self._run()

    async def fail_worker(self, namespace: str, worker: int) -> None:
        """Let a worker's process be killed."""
        failure = FailureReport(failure=Failure(worker=worker, rank=worker, exit_code=137, signal=9, reason="Killed"))
        for pod in list(self.network.pods.values()):
            meta, chosen = pod["metadata"], {names.ROLE: names.WORKER, names.WORKER_INDEX: str(worker)}
            if meta["namespace"] == namespace and chosen.items() <= meta.get("labels", {}).items():
                await self._set(pod, "Failed", code=137, message=encode_report(failure).decode())

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch_services())
                group.create_task(self.graphs.run())
                async for event, pod in self._kube.watch(POD):
                    async with self._changed:
                        if event == "DELETED":
                            self.network.pods.pop(pod["metadata"]["uid"], None)
                        else:
                            self.network.pods[pod["metadata"]["uid"]] = pod
                        self._changed.notify_all()
                    if event == "DELETED":
                        await self.graphs.stop(pod["metadata"]["uid"])
                    if event == "ADDED" and pod["metadata"]["namespace"] in self.scripts:
                        group.create_task(self._run_pod(pod))
        finally:
            for runner in self._runners.values():
                await runner.cleanup()

    async def _run_pod(self, pod: Object) -> None:
        labels = pod["metadata"].get("labels", {})
        with contextlib.suppress(Gone):
            if names.JOB not in labels:
                address = await self.graphs.start(pod)
                await self._set(pod, "Running", ready=True, address=address)
                return
            await asyncio.sleep(0.05)
            await self._set(pod, "Running", ready=True)
            script = self.scripts[pod["metadata"]["namespace"]]
            await self._wait_for_all(pod)
            await script.released.wait()
            await asyncio.sleep(_WORK_SECONDS)
            await self._end(pod, script)

    async def _wait_for_all(self, pod: Object) -> None:
        """Wait until all pods of the attempt run."""
        mine, uid = _attempt(pod), pod["metadata"]["uid"]
        script = self.scripts[pod["metadata"]["namespace"]]

        def done() -> bool:
            phases = [other["status"]["phase"] for other in self.network.pods.values() if _attempt(other) == mine]
            return (len(phases) > script.workers and "Pending" not in phases) or uid not in self.network.pods

        async with self._changed:
            await self._changed.wait_for(done)
            if uid not in self.network.pods:
                raise Gone

    async def _end(self, pod: Object, script: Script) -> None:
        labels = pod["metadata"]["labels"]
        role, index = labels[names.ROLE], int(labels[names.WORKER_INDEX])
        failing = script.failures.get(int(labels[names.ATTEMPT]))
        if failing is None:
            report = SuccessReport(progress=script.progress)
            message = encode_report(report).decode() if role == names.LAUNCHER else ""
            await self._set(pod, "Succeeded", code=0, message=message)
            return
        failure = FailureReport(failure=Failure(worker=failing, rank=failing, exit_code=3, reason="Exited"))
        if role == names.LAUNCHER:
            await self._set(pod, "Failed", code=1, message=encode_report(failure).decode())
        elif index == failing:
            await self._set(pod, "Failed", code=3, message=encode_report(failure).decode())
        else:
            await self._set(pod, "Failed", code=143, message=encode_report(StoppedReport()).decode())

    async def _set(
        self, pod: Object, phase: str, ready: bool = False, code: int | None = None, message: str = "",
        address: str | None = None,
    ) -> None:  # fmt: skip
        meta, now = pod["metadata"], datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        state: Object = {"running": {"startedAt": now}}
        if code is not None:
            state = {"terminated": {"exitCode": code, "message": message, "startedAt": now, "finishedAt": now}}
        containers = [
            {"name": container["name"], "image": container["image"], "imageID": "x", "ready": ready,
             "restartCount": 0, "state": state}
            for container in pod["spec"]["containers"]
        ]  # fmt: skip
        script = self.scripts.get(meta["namespace"])
        address = address or (script.address if script else _ADDRESS)
        status = {
            "phase": phase, "podIP": address, "podIPs": [{"ip": address}], "startTime": now,
            "conditions": [{"type": "Ready", "status": str(ready)}], "containerStatuses": containers,
        }  # fmt: skip
        try:
            await self._kube.patch(POD, meta["name"], {"metadata": {"uid": meta["uid"]}, "status": status},
                                   meta["namespace"], "status")  # fmt: skip
        except ApiError as error:
            if error.code not in (404, 409, 422):  # it was deleted, or another has its name
                raise
            raise Gone from error

    async def _watch_services(self) -> None:
        """Answer on the addresses of the deployments' Services, as the graph servers behind them do."""
        async for event, service in self._kube.watch(SERVICE):
            address = service["spec"].get("clusterIP", "None")
            if names.DEPLOYMENT not in service["metadata"].get("labels", {}) or address == "None":
                continue
            if event == "DELETED":
                self.network.services.pop(address, None)
                if runner := self._runners.pop(address, None):
                    await runner.cleanup()
                continue
            self.network.services[address] = service
            if address not in self._runners:
                self._runners[address] = await _serve(address, self.network)


def _attempt(pod: Object) -> tuple[str, str | None, str | None]:
    meta = pod["metadata"]
    labels = meta.get("labels", {})
    return meta["namespace"], labels.get(names.JOB), labels.get(names.ATTEMPT)


async def _serve(address: str, network: Network) -> web.AppRunner:
    async def ready(_: web.Request) -> web.Response:
        return web.Response(status=200 if network.find_behind(address) else 503)

    app = web.Application()
    app.router.add_get("/v2/health/ready", ready)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, address, names.SERVING_PORT).start()
    return runner
