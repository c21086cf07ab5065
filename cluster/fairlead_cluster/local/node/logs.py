"""The kubelet's log endpoint, so that `kubectl logs` works. Serves only the API server, by its certificate."""

import asyncio
import ssl
from pathlib import Path

from aiohttp import web

from fairlead_cluster.local.node.process import Run

_POLL_SECONDS = 0.1
_CHUNK = 65536


class LogServer:
    """Serves `/containerLogs/<namespace>/<pod>/<container>` from the pods' folders."""

    def __init__(self, pods: Path, pki: Path) -> None:
        """Serve logs below the folder of the pods, with the cluster's certificates."""
        self._pods, self._pki = pods, pki
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)

    async def start(self, port: int) -> None:
        """Listen on loopback."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self._pki / "ca.crt"))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(self._pki / "node.crt", self._pki / "node.key")
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=context, reuse_address=True).start()

    async def stop(self) -> None:
        """Close, followers included."""
        await self._runner.cleanup()

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        names = request.match_info
        query = request.query
        for option in ("timestamps", "sinceSeconds", "sinceTime"):
            if query.get(option, "false") != "false":
                return web.Response(status=400, text=f"{option}: a process node does not record times of log lines\n")
        pods = sorted(self._pods.glob(f"{names['namespace']}_{names['pod']}_*"), key=lambda path: path.stat().st_mtime)
        folder = pods[-1] / "containers" / names["container"] if pods else None
        if folder is None or not folder.is_dir():
            return web.Response(status=404, text=f"container {names['container']!r} has not been started yet\n")
        run = Run.latest(folder)
        if query.get("previous") == "true":
            if run.number == 0:
                return web.Response(status=404, text=f"container {names['container']!r} has no previous run\n")
            run = Run(folder, run.number - 1)
        response = web.StreamResponse(headers={"Content-Type": "text/plain", "Transfer-Encoding": "chunked"})
        await response.prepare(request)
        tail_lines = int(query["tailLines"]) if "tailLines" in query else None
        limit = int(query["limitBytes"]) if "limitBytes" in query else None
        await _copy(run, response, tail_lines, limit, follow=query.get("follow") == "true")
        return response


async def _copy(
    run: Run, response: web.StreamResponse, tail_lines: int | None, limit: int | None, *, follow: bool
) -> None:
    """Send the log, optionally only its last lines, and what is added while the process runs."""
    if not run.log.exists():
        return
    left = limit
    with run.log.open("rb") as file:
        file.seek(_tail_offset(run.log, tail_lines))
        while left is None or left > 0:
            running = run.running  # checked before reading, so that everything written before the end is read
            data = file.read(_CHUNK if left is None else min(_CHUNK, left))
            if data:
                await response.write(data)
                left = None if left is None else left - len(data)
            elif follow and running:
                if file.tell() > run.log.stat().st_size:  # moved aside, see rotation.py
                    file.seek(0)
                await asyncio.sleep(_POLL_SECONDS)
            else:
                return


def _tail_offset(path: Path, lines: int | None) -> int:
    """Return where the last lines of a file begin."""
    if lines is None:
        return 0
    data = path.read_bytes()
    position = len(data)
    if lines == 0:
        return position
    position -= data.endswith(b"\n")
    for _ in range(lines):
        position = data.rfind(b"\n", 0, position)
        if position < 0:
            return 0
    return position + 1
