"""Fake nodes: report every pod as Running or as Succeeded shortly after its creation, at one loopback address.

The address also serves a launcher's `/status` with increasing steps. Run as
`python -m bench.controllers.fake_nodes KUBECONFIG PHASE`; prints a line when it is watching.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from aiohttp import web
from fairlead.kube.client import KubeClient
from fairlead.kube.errors import ApiError
from fairlead.kube.kinds import POD
from fairlead_contracts.environment import LAUNCHER_PORT

ADDRESS = "127.200.0.1"
_AT_ONCE = 16


async def main(kubeconfig: Path, phase: str) -> None:
    """Simulate the nodes until killed."""
    server = await _serve_status()
    waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    async with KubeClient.from_kubeconfig(kubeconfig) as kube, asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(_report(kube, waiting, phase))
        print("watching", flush=True)
        async for event, pod in kube.watch(POD):
            if event == "ADDED" and not pod.get("status", {}).get("podIP"):
                await waiting.put(pod)
    await server.cleanup()


async def _report(kube: KubeClient, waiting: asyncio.Queue[dict[str, Any]], phase: str) -> None:
    """Report waiting pods, one at a time."""
    while True:
        pod = await waiting.get()
        meta = pod["metadata"]
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ended = {"terminated": {"exitCode": 0, "startedAt": now, "finishedAt": now}}
        containers = [
            {"name": spec["name"], "image": spec["image"], "imageID": "x", "ready": phase == "Running",
             "restartCount": 0, "state": {"running": {"startedAt": now}} if phase == "Running" else ended}
            for spec in pod["spec"]["containers"]
        ]  # fmt: skip
        status = {
            "phase": phase, "podIP": ADDRESS, "podIPs": [{"ip": ADDRESS}], "startTime": now,
            "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": containers,
        }  # fmt: skip
        try:
            await kube.patch(POD, meta["name"], {"status": status}, meta["namespace"], "status")
        except ApiError as error:
            if error.code != 404:  # it was deleted
                raise


async def _serve_status() -> web.AppRunner:
    started = time.monotonic()

    async def status(_: web.Request) -> web.Response:
        step = int(time.monotonic() - started)
        progress = {"step": step, "totalSteps": 100_000, "samplesPerSecond": 100.0, "metrics": {"loss": 1 / (1 + step)}}
        body = {"phase": "Running", "workers": {"ready": 2, "desired": 2, "registered": 2}, "progress": progress}
        return web.Response(text=json.dumps(body), content_type="application/json")

    app = web.Application()
    app.router.add_get("/status", status)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, ADDRESS, LAUNCHER_PORT).start()
    return runner


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
