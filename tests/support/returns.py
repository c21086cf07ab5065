"""Coverage of `return` statements: every decision of a planner needs a case."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


def return_lines(function: Callable[..., Any]) -> set[int]:
    """Return the line numbers of a function's `return` statements."""
    source, first = inspect.getsourcelines(function)
    tree = ast.parse(textwrap.dedent("".join(source)))
    return {first + node.lineno - 1 for node in ast.walk(tree) if isinstance(node, ast.Return)}


@contextmanager
def recorded_lines(function: Callable[..., Any]) -> Iterator[set[int]]:
    """Record the lines of a function that run in the block."""
    lines: set[int] = set()
    code = function.__code__

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code is not code:
            return None
        if event == "line":
            lines.add(frame.f_lineno)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield lines
    finally:
        sys.settrace(before)
