"""Signals that end a step, as an exception: Argo sends SIGTERM to all processes of a container, a terminal SIGINT."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from fairlead.client import FairleadError

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(FairleadError):
    """The step was ended by a signal."""


@contextmanager
def raising_interrupts() -> Iterator[None]:
    """Raise Interrupted on the first signal during the block; later ones are ignored and do not cut cleanup short."""

    def interrupt(number: int, _: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(f"ended by {signal.Signals(number).name}")

    before = {each: signal.signal(each, interrupt) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
