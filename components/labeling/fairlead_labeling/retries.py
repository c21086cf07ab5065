"""Ask a server again that does not answer, for a bounded time."""

import sys
import time
from collections.abc import Callable
from typing import TypeVar

from .errors import ServerUnavailable

_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
_T = TypeVar("_T")


def retry(call: Callable[[], _T], seconds: float) -> _T:
    """Call until the server answers; raise the last ServerUnavailable after `seconds`, any other error at once."""
    end, pause = time.monotonic() + seconds, _PAUSE
    while True:
        try:
            return call()
        except ServerUnavailable as error:
            if time.monotonic() + pause > end:
                raise
            sys.stderr.write(f"fairlead-labeling: retrying in {pause:g} s: {error}\n")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
