"""Model files from their URIs: artifacts fetched once, verified, and the one ONNX file in them found."""

from dataclasses import dataclass, field
from pathlib import Path

from fairlead_artifacts import ArtifactError, ArtifactNotFound, Manifest, fetch

from .errors import GraphRefused

MODEL_FILE = "model.onnx"
_KIND = "onnx-model"


@dataclass(frozen=True)
class ModelFile:
    """A verified model on disk: the file, its artifact's folder, and the artifact's manifest."""

    path: Path
    folder: Path
    manifest: Manifest


@dataclass
class ModelCache:
    """Fetches each artifact once, into folders below `root`."""

    root: Path
    _fetched: dict[tuple[str, str | None], tuple[Path, Manifest]] = field(default_factory=dict)

    def open(self, uri: str, digest: str | None, at: str) -> ModelFile:
        """Return the model that a node's modelUri names; raise GraphRefused."""
        try:
            folder, manifest, name = self._find(uri.rstrip("/"), digest)
        except ArtifactError as error:
            raise GraphRefused(at, f"modelUri {error}") from None
        if manifest.kind != _KIND:
            raise GraphRefused(at, f"modelUri {uri}: is an artifact of kind {manifest.kind!r}, expected {_KIND!r}")
        if not (folder / name).is_file():
            files = ", ".join(file.path for file in manifest.files)
            raise GraphRefused(at, f"modelUri {uri}: the artifact has no file {name}; it has {files}")
        return ModelFile(folder / name, folder, manifest)

    def _find(self, uri: str, digest: str | None) -> tuple[Path, Manifest, str]:
        """Fetch the artifact at the URI or, when the URI is that of a file below one, above it."""
        if not uri.endswith(".onnx"):
            return *self._fetch(uri, digest), MODEL_FILE
        above, _, name = uri.rpartition("/")
        try:
            return *self._fetch(above, digest), name
        except ArtifactNotFound:
            higher, _, folder = above.rpartition("/")
            try:
                return *self._fetch(higher, digest), f"{folder}/{name}"
            except ArtifactError:
                raise ArtifactNotFound(uri, f"no artifact is at {above} or at {higher}") from None

    def _fetch(self, uri: str, digest: str | None) -> tuple[Path, Manifest]:
        key = (uri, digest)
        if key not in self._fetched:
            folder = self.root / str(len(self._fetched))
            self._fetched[key] = (folder, fetch(uri, folder, digest))
        return self._fetched[key]
