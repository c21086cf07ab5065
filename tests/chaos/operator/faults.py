"""Faults: what can go wrong between the operator and the API server, at the nth write or watch event of a life."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "none",
    "kill-before", "kill-after",
    "conflict", "too-many", "error", "error-after", "unavailable", "reset-before", "reset-after", "late",
    "lost", "doubled", "swapped", "stalled",
    "paused",
]  # fmt: skip

KILLS: tuple[Kind, ...] = ("kill-before", "kill-after")
"""SIGKILL of the operator when the write arrives: it is not executed, or executed and not answered."""
API_FAULTS: tuple[Kind, ...] = (
    "conflict",  # 409, not executed
    "too-many",  # 429 with Retry-After: 1, not executed
    "error",  # 500, not executed
    "error-after",  # executed, but answered with 500
    "unavailable",  # 503, not executed
    "reset-before",  # the connection breaks, not executed
    "reset-after",  # executed, then the connection breaks
    "late",  # the connection breaks, and the write is executed three seconds later
)
EVENT_FAULTS: tuple[Kind, ...] = (
    "lost",  # an event is not delivered
    "doubled",  # an event is delivered twice
    "swapped",  # an event is delivered after the next one of its watch
)
STALLS: tuple[Kind, ...] = ("stalled",)
"""From this event on its watch delivers nothing, and stays open."""


@dataclass(frozen=True)
class Fault:
    """One fault. `at` counts the writes or watch events of a life's namespace from 0; for a pause it is its seconds."""

    kind: Kind = "none"
    at: int = 0

    @property
    def on_write(self) -> bool:
        """Return whether it hits a write."""
        return self.kind in (*KILLS, *API_FAULTS)

    def __str__(self) -> str:
        if self.kind == "none":
            return "undisturbed"
        if self.kind == "paused":
            return f"paused for {self.at} s"
        return f"{self.kind} at {'write' if self.on_write else 'event'} {self.at}"
