"""/healthz, which proves progress, and /metrics."""

import time
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from fairlead.handlers import metrics
from fairlead.handlers.queue import KeyedQueue
from fairlead.kube.kinds import Key

_STUCK_SECONDS = 120.0
"""A resource that is overdue, or worked on, for longer than this means that the operator is stuck."""


@dataclass
class Health:
    """What liveness is judged by: the queue moves, and the API server answered not long ago."""

    queue: KeyedQueue[Key]
    audit_seconds: float
    last_audit: float = 0.0
    leading: bool = False

    def start(self) -> None:
        """Note that this process leads from now on."""
        self.leading, self.last_audit = True, time.monotonic()

    def problems(self) -> list[str]:
        """Return what is wrong; empty when the operator makes progress, or waits to lead."""
        if not self.leading:
            return []
        found = []
        if (waited := self.queue.oldest()) > _STUCK_SECONDS:
            found.append(f"a resource waits for {waited:.0f} s")
        silence = time.monotonic() - self.last_audit
        if silence > 2 * self.audit_seconds + _STUCK_SECONDS:
            found.append(f"the caches were last compared with the API server {silence:.0f} s ago")
        return found


async def serve(health: Health, port: int, host: str | None) -> web.AppRunner:
    """Start the endpoint; the caller cleans the runner up."""
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
