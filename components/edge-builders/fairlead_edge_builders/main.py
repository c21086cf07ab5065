"""The command `fairlead-edge-builders`: build a model for an engine, or run one for another process."""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from fairlead_contracts.edge_builders import CANNOT_BUILD


def main(arguments: list[str] | None = None) -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="fairlead-edge-builders", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="write a target's files from an ONNX model and an array of examples")
    build.add_argument("target")
    build.add_argument("model", type=Path)
    build.add_argument("examples", type=Path)
    build.add_argument("folder", type=Path)
    run = commands.add_parser("run", help="run a program of ExecuTorch, which comes through standard input")
    run.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    if options.command == "run":
        # without the builders, which take long to import
        from .serving import serve

        with _own_output() as replies:
            serve(sys.stdin.buffer, replies, options.threads)
        return 0
    from .builders import build_target
    from .errors import CannotBuild

    try:
        build_target(options.target, options.model, np.load(options.examples, allow_pickle=False), options.folder)
    except CannotBuild as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT_BUILD
    return 0


@contextlib.contextmanager
def _own_output() -> Iterator[BinaryIO]:
    """Keep standard output for frames: what libraries print goes to standard error."""
    with os.fdopen(os.dup(1), "wb") as replies:
        os.dup2(2, 1)
        yield replies


if __name__ == "__main__":
    sys.exit(main())
