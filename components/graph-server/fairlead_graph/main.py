"""The command `fairlead-graph-server`."""

import argparse
import logging
import os
from pathlib import Path

import uvloop

from .errors import InvalidGraph
from .logs import configure_logs
from .server import report_invalid_graph, serve
from .settings import read_settings, read_termination

_log = logging.getLogger(__name__)


def main() -> None:
    """Serve a graph; exit with 1 if it is invalid."""
    code = _serve()
    logging.shutdown()
    # A thread that waits for an object store or a name server would hold the exit; all requests have been answered.
    os._exit(code)


def _serve() -> int:
    parser = argparse.ArgumentParser(prog="fairlead-graph-server", description=__doc__)
    parser.add_argument("--graph", type=Path, required=True, help="graph.json")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    configure_logs()
    try:
        settings = read_settings()
        # not asyncio.run, which waits for threads
        uvloop.new_event_loop().run_until_complete(serve(options.graph, options.port, settings))
    except InvalidGraph as error:
        report_invalid_graph(error, *read_termination())
        return 1
    except OSError as error:
        _log.error("cannot listen", extra={"port": options.port, "reason": str(error)})
        return 1
    return 0


if __name__ == "__main__":
    main()
