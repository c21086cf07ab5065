"""Where an artifact is."""

from dataclasses import dataclass
from pathlib import Path

from fairlead_artifacts import Parent, fetch


@dataclass(frozen=True)
class Place:
    """An artifact and, if it is pinned, its digest."""

    uri: str
    digest: str | None = None

    def fetch(self, folder: Path, name: str, kind: str) -> Parent:
        """Fetch it into a folder; return it as a parent of what is made of it. Raise ArtifactError."""
        return Parent(name, fetch(self.uri, folder, self.digest, kind=kind).digest, self.uri)
