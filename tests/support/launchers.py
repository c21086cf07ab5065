"""The launchers of simulated pods: they report at a loopback address whose workers have registered."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from fairlead_contracts.environment import LAUNCHER_PORT
from fairlead_contracts.launcher_status import PATH, ElasticRun, LauncherStatus, ReadyWorkers, Registration
from fairlead_contracts.progress import ProgressReport

STARTED = "2026-03-01T12:00:00Z"


class SimulatedLaunchers(ThreadingHTTPServer):
    """The launchers of all jobs whose pods have this address. Their status can be changed while they serve."""

    daemon_threads = True

    def __init__(self, address: str, workers: int) -> None:
        super().__init__((address, LAUNCHER_PORT), _Handler)
        self.workers = workers
        self.missing: tuple[int, ...] = ()
        """The workers that have not registered."""
        self.elastic: ElasticRun | None = None
        self.progress: ProgressReport | None = None

    @property
    def address(self) -> str:
        """Return the address of the pods."""
        return str(self.server_address[0])

    def status(self) -> LauncherStatus:
        """Return the status of every launcher."""
        registered = self.workers - len(self.missing)
        waiting = {"workers": self.missing, "since": STARTED}
        return LauncherStatus(
            phase="Waiting" if self.missing else "Running",
            workers=ReadyWorkers(ready=registered, desired=self.workers, registered=registered),
            waiting=Registration.model_validate_json(json.dumps(waiting)) if self.missing else None,
            progress=self.progress,
            elastic=self.elastic,
        )


class _Handler(BaseHTTPRequestHandler):
    server: SimulatedLaunchers

    def do_GET(self) -> None:
        """Serve the status."""
        body = json.dumps(self.server.status().to_json()).encode()
        self.send_response(200 if self.path == PATH else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def serving_launchers(address: str, workers: int = 2) -> Iterator[SimulatedLaunchers]:
    """Serve the launchers at an address during the block."""
    with SimulatedLaunchers(address, workers) as launchers:
        thread = threading.Thread(target=launchers.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield launchers
        finally:
            launchers.shutdown()
            thread.join()
