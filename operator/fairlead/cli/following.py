"""Show a resource again and again until it is done."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.live_render import VerticalOverflowMethod

from fairlead.client import Unreachable

Object = dict[str, Any]


@dataclass(frozen=True)
class Following:
    """How a resource is read and shown."""

    read: Callable[[], Object]
    is_done: Callable[[Object], bool]
    view: Callable[[Object], RenderableType]
    """For a terminal."""
    line: Callable[[Object], str]
    """For output that is no terminal, where a line is printed when it has changed."""
    seconds: float
    """How often it is read."""
    overflow: VerticalOverflowMethod = "ellipsis"
    """What becomes of a view that is higher than the terminal."""


def follow(found: Object, following: Following, console: Console) -> Object:
    """Show a resource until it is done; return it as it was last seen."""
    last, shown = found, ""
    if not console.is_terminal:
        for last in _observe(found, following):
            if (line := following.line(last)) != shown:
                console.print(line, markup=False, soft_wrap=True)
                shown = line
        return last
    with Live(console=console, auto_refresh=False, vertical_overflow=following.overflow) as live:
        for last in _observe(found, following):
            live.update(following.view(last), refresh=True)
    return last


def _observe(found: Object, following: Following) -> Iterator[Object]:
    """Yield a resource until it is done; an API server that is away is retried."""
    while True:
        yield found
        if following.is_done(found):
            return
        time.sleep(following.seconds)
        try:
            found = following.read()
        except Unreachable:
            continue
