"""Runs the node agent of a local cluster: `python -m fairlead_cluster.local.node FAIRLEAD_HOME`."""

import asyncio
import contextlib
import json
import logging
import signal
import sys
from pathlib import Path

from fairlead_cluster.base.home import Home
from fairlead_cluster.local.node.agent import NodeAgent, NodeSettings
from fairlead_cluster.local.node.images import Images
from fairlead_cluster.local.settings import load_settings


async def main(home: Home) -> None:
    """Run the node until SIGTERM."""
    settings = load_settings(home.cluster)
    agent = NodeAgent(
        NodeSettings(
            kubeconfig=home.cluster / "node.kubeconfig",
            folder=home.cluster,
            pki=home.cluster / "pki",
            port=settings.node_port,
            pod_range=settings.pod_range,
            images=Images(home.envs, _other_images(home.root / "images.json")),
        )
    )
    task = asyncio.create_task(agent.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _other_images(path: Path) -> dict[str, Path]:
    """Read further images and their environments: a JSON object of paths by image name, without tag."""
    return {name: Path(env) for name, env in json.loads(path.read_text()).items()} if path.exists() else {}


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(main(Home(Path(sys.argv[1]))))
