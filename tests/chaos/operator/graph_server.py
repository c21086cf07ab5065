"""A simulated graph server: which documents it accepts, and what it reports to have counted."""

from dataclasses import dataclass, field
from typing import Any

from fairlead_contracts.traffic import BOUNDS, Agreement, Counts, RouteFacts, TrafficDocument, TrafficFacts

Object = dict[str, Any]
_BUCKET = 40
"""Of about 5 ms."""


@dataclass
class Tally:
    """What a route has answered in the window: clients' requests and copies, and how many were bad."""

    requests: float = 0.0
    copies: float = 0.0
    bad: float = 0.0
    bad_copies: float = 0.0
    missed: int = 0
    """For how many ticks there have been no pods behind it."""

    def to_facts(self, name: str) -> RouteFacts:
        """Return the facts of a route."""
        compared = int(self.copies)
        return RouteFacts(
            name=name,
            counts=_to_counts(self.requests, self.bad),
            mirrored=_to_counts(self.copies, self.bad_copies),
            agreement=Agreement(compared=compared, agreed=compared if not self.bad_copies else 0),
        )


@dataclass
class GraphServer:
    """The graph server of one pod."""

    pod: Object
    revision: str
    model: str
    """The last part of its model's URI."""
    key: bytes
    document: TrafficDocument | None = None
    provisional: bool = False
    """Whether the document is that of its folder."""
    tallies: dict[str, Tally] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        """Return the namespace of its pod."""
        return str(self.pod["metadata"]["namespace"])

    @property
    def generation(self) -> int:
        """Return the generation in force; 0 if there is none."""
        return self.document.generation if self.document else 0

    def accept(self, document: TrafficDocument) -> bool:
        """Put a document in force; return False if it is for another revision, or an older one than is known."""
        if document.revision != self.revision or document.generation < self.generation:
            return False
        if document.generation == self.generation and not self.provisional:
            return document == self.document
        same_window = self.document is not None and self.document.window == document.window
        tallies = self.tallies if same_window else {}
        self.tallies = {route.name: tallies.get(route.name, Tally()) for route in document.routes}
        self.document, self.provisional = document, False
        return True

    def to_facts(self) -> TrafficFacts:
        """Return what it does and has counted."""
        return TrafficFacts(
            server=self.pod["metadata"]["uid"],
            revision=self.revision,
            generation=self.generation,
            window=self.document.window if self.document else 0,
            routes=tuple(tally.to_facts(name) for name, tally in self.tallies.items()),
        )


def _to_counts(requests: float, errors: float) -> Counts:
    latency = [0] * (len(BOUNDS) + 1)
    latency[_BUCKET] = int(requests)
    return Counts(requests=int(requests), errors=int(errors), latency=tuple(latency))
