"""The preStop hook of a container: a pause, an HTTP GET, or a command."""

import asyncio

from fairlead_cluster.local.node.objects import Object
from fairlead_cluster.local.node.probes import Execute, check_http


async def run_pre_stop(container: Object, address: str, execute: Execute, grace_seconds: float) -> str | None:
    """Run the hook for at most the grace period; return why it failed, or None."""
    hook = (container.get("lifecycle") or {}).get("preStop")
    if not hook or grace_seconds <= 0:
        return None
    try:
        return await asyncio.wait_for(_run(hook, container, address, execute, grace_seconds), grace_seconds)
    except TimeoutError:
        return f"not completed within the grace period of {grace_seconds:g} s"


async def _run(hook: Object, container: Object, address: str, execute: Execute, seconds: float) -> str | None:
    if "sleep" in hook:
        await asyncio.sleep(hook["sleep"]["seconds"])
    elif "httpGet" in hook:
        return await check_http(hook["httpGet"], container, address)
    elif "exec" in hook:
        code = await execute(hook["exec"]["command"], seconds)
        return f"command exited {code}" if code else None
    return None
