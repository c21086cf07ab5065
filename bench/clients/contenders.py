"""Runs one client: applies ConfigMaps concurrently and prints seconds and resident memory as JSON.

Run in a separate process for each client: `python contenders.py NAME COUNT AT_ONCE`.
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Apply = Callable[[dict[str, Any]], Awaitable[Any]]
Body = Callable[[Apply], Awaitable[None]]


async def use_thin(body: Body) -> None:
    """The operator's own client."""
    from fairlead.kube.client import KubeClient
    from fairlead.kube.kinds import CONFIG_MAP

    async with KubeClient.from_kubeconfig(Path(os.environ["KUBECONFIG"])) as client:
        await body(lambda obj: client.apply(CONFIG_MAP, obj))


async def use_lightkube(body: Body) -> None:
    """lightkube, its asynchronous client on httpx."""
    from lightkube import AsyncClient
    from lightkube.resources.core_v1 import ConfigMap

    client = AsyncClient(field_manager="fairlead")
    await body(lambda obj: client.apply(ConfigMap.from_dict(obj), force=True))
    await client.close()


async def use_kubernetes_asyncio(body: Body) -> None:
    """kubernetes-asyncio, generated from the API's description."""
    from kubernetes_asyncio import client, config

    await config.load_kube_config()
    async with client.ApiClient() as api:
        core = client.CoreV1Api(api)

        async def apply(obj: dict[str, Any]) -> Any:
            meta = obj["metadata"]
            return await core.patch_namespaced_config_map(
                meta["name"], meta["namespace"], obj, field_manager="fairlead", force=True,
                _content_type="application/apply-patch+yaml",
            )  # fmt: skip

        await body(apply)


CLIENTS = {"thin": use_thin, "lightkube": use_lightkube, "kubernetes-asyncio": use_kubernetes_asyncio}


async def measure(name: str, count: int, at_once: int) -> dict[str, float]:
    """Apply `count` objects, `at_once` at a time; return seconds, writes per second and peak resident MiB."""
    seconds = 0.0

    async def body(apply: Apply) -> None:
        nonlocal seconds
        run = f"{name}-{time.time_ns()}"
        await apply(build(run, -1))  # connections and caches are created before the measurement
        queue = iter(range(count))

        async def worker() -> None:
            for index in queue:
                await apply(build(run, index))

        start = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(at_once)))
        seconds = time.perf_counter() - start

    await CLIENTS[name](body)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "writes": count / seconds, "mib": memory}


def build(run: str, index: int) -> dict[str, Any]:
    """Return one ConfigMap."""
    metadata = {"name": f"{run}-{index + 1}", "namespace": "default", "labels": {"bench": "clients"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"index": str(index)}}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))
