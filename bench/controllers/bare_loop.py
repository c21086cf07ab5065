"""The limit: a loop that POSTs the objects of every job as fast as the API server accepts them, and nothing else.

Run as `python -m bench.controllers.bare_loop KUBECONFIG PREFIX COUNT AT_ONCE`; it starts after reading a line from
stdin.
"""

import asyncio
import sys
from pathlib import Path

from fairlead.kube.client import KubeClient
from fairlead.kube.kinds import NETWORK_POLICY, POD, SECRET, SERVICE

from bench.controllers.jobs import build_children

_KINDS = {"NetworkPolicy": NETWORK_POLICY, "Pod": POD, "Secret": SECRET, "Service": SERVICE}


async def run(kubeconfig: Path, prefix: str, count: int, at_once: int) -> None:
    """Create the objects of `count` jobs with `at_once` concurrent requests."""
    async with KubeClient.from_kubeconfig(kubeconfig) as kube:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        objects = (obj for index in range(count) for obj in build_children(f"{prefix}-{index}"))

        async def work() -> None:
            for obj in objects:
                await kube.create(_KINDS[obj["kind"]], obj)

        await asyncio.gather(*(work() for _ in range(at_once)))


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
