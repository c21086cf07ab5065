"""The command `fairlead-graph-server`."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

import uvloop

from .errors import InvalidGraph
from .logs import configure_logs
from .server import report_invalid_graph, serve
from .settings import read_settings

_log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Serve a graph; exit with 1 if it is invalid."""
    parser = argparse.ArgumentParser(prog="fairlead-graph-server", description=__doc__)
    parser.add_argument("--graph", type=Path, required=True, help="graph.json")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args(arguments)
    configure_logs()
    settings = None
    try:
        settings = read_settings()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(options.graph, options.port, settings))
    except InvalidGraph as error:
        report_invalid_graph(error, settings)
        return 1
    except OSError as error:
        _log.error("cannot listen", extra={"port": options.port, "reason": str(error)})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
