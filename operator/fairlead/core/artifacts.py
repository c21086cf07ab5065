"""What the artifact store says of one artifact, as a fact that checks read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fairlead.api.base import ArtifactRef


@dataclass(frozen=True)
class ArtifactFacts:
    """The artifact at one URI as its manifest describes it, or why it could not be read."""

    uri: str
    digest: str = ""
    kind: str = ""
    parents: tuple[ArtifactRef, ...] = ()
    parameters: Mapping[str, object] = field(default_factory=dict)
    error: str = ""
    """Why it could not be read; empty: it was."""
    missing: bool = False
    """Nothing is at the URI; it may still come."""
