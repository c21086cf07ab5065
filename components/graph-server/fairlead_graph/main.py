"""The command `fairlead-graph-server`."""

import argparse
import logging
import os
import socket
import tempfile
from pathlib import Path

import uvloop
from fairlead_serving.parent import Parent, Past
from fairlead_serving.server import BACKLOG

from .errors import InvalidGraph
from .logs import configure_logs
from .server import report_invalid_graph, serve
from .settings import Settings, read_settings

_log = logging.getLogger(__name__)


def main() -> None:
    """Serve a graph; exit with 1 if it is invalid."""
    code = _run()
    logging.shutdown()
    # A thread that waits for an object store or a name server would hold the exit; all requests have been answered.
    os._exit(code)


def _run() -> int:
    parser = argparse.ArgumentParser(prog="fairlead-graph-server", description=__doc__)
    parser.add_argument("--graph", type=Path, required=True, help="graph.json")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    configure_logs()
    try:
        settings = read_settings()
        listening = _listen(settings.nodes.bind_address, options.port)
    except InvalidGraph as error:
        report_invalid_graph(error, None)
        return 1
    except OSError as error:
        _log.error("cannot listen", extra={"port": options.port, "reason": str(error)})
        return 1
    # The files are kept, so that a process can be replaced when the store cannot be reached.
    with tempfile.TemporaryDirectory(prefix="fairlead-models-") as folder:
        return Parent(
            lambda past: _serve(options.graph, listening, settings, Path(folder), past), listening.close
        ).run()


def _serve(graph: Path, listening: socket.socket, settings: Settings, folder: Path, past: Past) -> int:
    """Serve in this process; return its exit status."""
    try:
        # not asyncio.run, which waits for threads
        uvloop.new_event_loop().run_until_complete(serve(graph, listening, settings, folder, past))
    except InvalidGraph as error:
        report_invalid_graph(error, settings)
        return 1
    except OSError as error:
        _log.error("cannot listen", extra={"reason": str(error)})
        return 1
    finally:
        logging.shutdown()
    return 0


def _listen(address: str, port: int) -> socket.socket:
    """Return a socket that listens for all serving processes: while one is replaced, clients wait; raise OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family, backlog=BACKLOG)


if __name__ == "__main__":
    main()
