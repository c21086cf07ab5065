"""Run a command in a container's environment: for probes and hooks."""

import asyncio
import contextlib
import os
import signal

from fairlead_cluster.local.node.process import Launch


async def execute(argv: list[str], seconds: float, launch: Launch) -> int:
    """Run a command in a container's environment; on a timeout, kill it and all that it started."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=launch.env,
            cwd=launch.cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return 127
    try:
        return await asyncio.wait_for(process.wait(), seconds)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
