"""Retry while a store is unavailable, for a bounded time."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from .errors import StoreUnavailable

log = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_T = TypeVar("_T")

PUBLISH_SECONDS = 300.0
"""How long a step that has done its work retries to publish it: an outage of the store must not cost the work."""


def retry_unavailable(
    call: Callable[[], _T],
    seconds: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    on_unavailable: Callable[[StoreUnavailable], None] = lambda _: None,
) -> _T:
    """Call until the store is available; raise the last StoreUnavailable after `seconds`, any other error at once.

    `on_unavailable` is called with each StoreUnavailable, before the pause that follows.
    """
    end, pause = clock() + seconds, _FIRST_PAUSE
    while True:
        try:
            return call()
        except StoreUnavailable as error:
            on_unavailable(error)
            if clock() + pause > end:
                raise
            log.warning("retrying in %.0f s: %s", pause, error)
        sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
