"""Features on Feast: definitions, point-in-time joins, materialization, and look-ups as a node of a graph."""

from typing import Any

import typeguard

__version__ = "0.1.0"


def _leave_unchecked(target: Any = None, **_: Any) -> Any:
    return _leave_unchecked if target is None else target


# Feast has typeguard check the calls of its classes, and their import compiles each again: five of seven seconds. What
# Feast gets from here is checked before (definitions.py).
typeguard.typechecked = _leave_unchecked
