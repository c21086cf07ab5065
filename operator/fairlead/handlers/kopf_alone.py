"""kopf without the official client, which it imports where that is installed: the CLI needs it, the operator does not.

Saves the operator 12 MiB and a quarter of a second.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Let a module be not installed."""
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    known = modules.get(name)
    modules[name] = None
    try:
        yield
    finally:
        del modules[name]
        if known is not None:
            modules[name] = known


with _hidden("kubernetes"):
    import kopf

__all__ = ["kopf"]
