"""Fetch models by URI: each artifact is fetched once and verified, and its ONNX file is located."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from fairlead_artifacts import ArtifactError, Manifest, fetch, open_model
from fairlead_contracts.graph import GraphNode as NodeSpec

from .errors import InvalidGraph

_KIND = "onnx-model"


@dataclass(frozen=True)
class ModelFile:
    """A verified model on disk: the file, its artifact's folder, and the digest of the artifact's manifest."""

    path: Path
    folder: Path
    digest: str

    def to_json(self) -> list[str]:
        """Return the value for the model process."""
        return [str(self.path), str(self.folder), self.digest]

    @classmethod
    def from_json(cls, document: list[str]) -> Self:
        """Return the value that the HTTP process sent."""
        path, folder, digest = document
        return cls(Path(path), Path(folder), digest)


def fetch_models(root: NodeSpec, folder: Path) -> dict[str, ModelFile]:
    """Fetch the models of all nodes below `folder`; return them by node, or raise InvalidGraph. This call blocks."""
    cache = _ModelCache(folder)
    return {
        node.name: cache.open(str(node.model_uri), node.digest, f"node {node.name}")
        for node in root.walk()
        if node.model_uri
    }


@dataclass
class _ModelCache:
    """Fetches each artifact once, into folders below `root`."""

    root: Path
    _fetched: dict[tuple[str, str | None], tuple[Path, Manifest]] = field(default_factory=dict)

    def open(self, uri: str, digest: str | None, at: str) -> ModelFile:
        """Return the model that a node's modelUri names; raise InvalidGraph."""
        try:
            place, (folder, manifest) = open_model(uri, lambda artifact: self._fetch(artifact, digest))
        except ArtifactError as error:
            raise InvalidGraph(at, f"modelUri {error}") from None
        if manifest.kind != _KIND:
            raise InvalidGraph(at, f"modelUri {uri}: is an artifact of kind {manifest.kind!r}, expected {_KIND!r}")
        if not (folder / place.path).is_file():
            files = ", ".join(file.path for file in manifest.files)
            raise InvalidGraph(at, f"modelUri {uri}: the artifact has no file {place.path}; it has {files}")
        return ModelFile(folder / place.path, folder, manifest.digest)

    def _fetch(self, uri: str, digest: str | None) -> tuple[Path, Manifest]:
        key = (uri, digest)
        if key not in self._fetched:
            folder = self.root / str(len(self._fetched))
            self._fetched[key] = (folder, fetch(uri, folder, digest))
        return self._fetched[key]
