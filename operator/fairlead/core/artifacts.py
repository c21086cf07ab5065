"""The state of an artifact in the artifact store."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fairlead.api.base import ArtifactRef


@dataclass(frozen=True)
class ArtifactFacts:
    """The artifact at a URI as its manifest describes it, or why it could not be read."""

    uri: str
    digest: str = ""
    kind: str = ""
    parents: tuple[ArtifactRef, ...] = ()
    parameters: Mapping[str, object] = field(default_factory=dict)
    error: str = ""
    """Why it could not be read; empty if it was."""
    missing: bool = False
    """Nothing exists at the URI; it may still be published."""
    unavailable: bool = False
    """The store did not answer, so nothing is known about the artifact."""
    unsigned: str = ""
    """Why no key that counts has signed it; empty if one has, or nobody has asked."""
