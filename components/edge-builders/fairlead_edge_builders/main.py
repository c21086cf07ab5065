"""The command `fairlead-edge-builders`: build a model for an engine, or run one for another process."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from fairlead_contracts.edge_builders import CANNOT_BUILD

from .coreml import build_coreml
from .errors import CannotBuild
from .executorch_program import build_executorch
from .importing import Program, import_model
from .litert import build_litert, build_litert_int8

BUILDERS: dict[str, Callable[[Program, Path], None]] = {
    "litert": build_litert,
    "litert-int8": build_litert_int8,
    "executorch": build_executorch,
    "coreml": build_coreml,
}
"""By the targets' names."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="fairlead-edge-builders", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="write a target's files from an ONNX model and an array of examples")
    build.add_argument("target", choices=BUILDERS)
    build.add_argument("model", type=Path)
    build.add_argument("examples", type=Path)
    build.add_argument("folder", type=Path)
    run = commands.add_parser("run", help="run a program of ExecuTorch, which comes through standard input")
    run.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    if options.command == "run":
        from .serving import serve

        with _own_output() as replies:
            serve(sys.stdin.buffer, replies, options.threads)
        return 0
    try:
        examples = np.load(options.examples, allow_pickle=False)
        BUILDERS[options.target](import_model(options.model, examples), options.folder)
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
