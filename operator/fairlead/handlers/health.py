"""The HTTP endpoints /healthz, which checks progress, and /metrics."""

import time
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from fairlead.handlers import metrics
from fairlead.handlers.queue import KeyedQueue
from fairlead.kube.kinds import Key

_STUCK_SECONDS = 120.0
"""The operator is stuck if a resource has been overdue or in progress for longer than this."""


@dataclass
class Health:
    """The liveness of the operator: the queue makes progress, and the caches were audited recently."""

    queue: KeyedQueue[Key]
    audit_seconds: float
    last_audit: float = 0.0
    leading: bool = False

    def start(self) -> None:
        """Record that this process is the leader."""
        self.leading, self.last_audit = True, time.monotonic()

    def problems(self) -> list[str]:
        """Return what is wrong; empty if the operator makes progress or is not the leader."""
        if not self.leading:
            return []
        found = []
        if (waited := self.queue.oldest()) > _STUCK_SECONDS:
            found.append(f"a resource has been waiting for {waited:.0f} s")
        silence = time.monotonic() - self.last_audit
        if silence > 2 * self.audit_seconds + _STUCK_SECONDS:
            found.append(f"the caches were last compared with the API server {silence:.0f} s ago")
        return found


async def serve(health: Health, port: int, host: str | None) -> web.AppRunner:
    """Start the server; the caller cleans up the runner."""
    app = web.Application()

    async def healthz(_: web.Request) -> web.Response:
        problems = health.problems()
        return web.Response(text="; ".join(problems) or "ok", status=503 if problems else 200)

    async def scrape(_: web.Request) -> web.Response:
        metrics.QUEUE.set(len(health.queue))
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/metrics", scrape)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
