"""The agent's access to the artifact store: fetch the dataset, publish the model."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from fairlead_artifacts import (
    ArtifactError,
    Cache,
    CachedArtifact,
    CacheUnusable,
    Manifest,
    Parent,
    fetch,
    open_regular,
    publish,
    retry_unavailable,
)
from fairlead_contracts.errors import ContractError
from fairlead_contracts.signature import FILE as SIGNATURE_FILE
from fairlead_contracts.signature import MAX_BYTES, Signature
from fairlead_contracts.termination import PublishedModel

from .delays import Activity

log = logging.getLogger("agent")

PRODUCER = "fairlead-trainer/0.1.0"
TENSORBOARD = "tensorboard"
"""The folder of TensorBoard's logs below the model's."""
FETCH_SECONDS = 60.0
"""How long to retry while the store is unavailable, before anything was computed."""
_PUBLISH_SECONDS = 1200.0
"""The same, for a model that has been trained: an outage must not cost the training."""


@dataclass(frozen=True)
class Dataset:
    """A verified dataset on this machine."""

    uri: str
    folder: Path
    manifest: Manifest
    cached: CachedArtifact | None = None
    """Its entry in a cache, which is kept while this worker lives."""

    @property
    def parent(self) -> Parent:
        """Return the dataset as the parent of a model."""
        return Parent("dataset", self.manifest.digest, self.uri)


def fetch_dataset(
    uri: str, digest: str | None, folder: Path, activity: Activity, cache: Cache | None = None
) -> Dataset:
    """Download and verify the dataset, or find it in a cache; raise ArtifactError if it is not the requested one.

    A cache that cannot hold it costs time only: it is downloaded to the folder.
    """
    started, cached = time.monotonic(), None
    with activity.during(f"fetching the dataset {uri}") as note:
        if cache is not None:
            try:
                cached = retry_unavailable(lambda: cache.open(uri, digest), FETCH_SECONDS, on_unavailable=note)
            except CacheUnusable as error:
                log.warning("the dataset is fetched for this worker alone: %s", error)
        if cached is not None:
            manifest = cached.manifest
        else:
            manifest = retry_unavailable(lambda: fetch(uri, folder, digest), FETCH_SECONDS, on_unavailable=note)
    if manifest.kind != "dataset":
        raise ArtifactError(uri, f"is of kind {manifest.kind!r}, expected 'dataset'")
    log.info("dataset=%s bytes=%d verified in %.1f s", manifest.digest, manifest.size, time.monotonic() - started)
    return Dataset(uri, cached.folder if cached else folder, manifest, cached)


def publish_model(
    folder: Path, uri: str, version: str | None, activity: Activity, *, dataset: Dataset | None, replace: bool
) -> PublishedModel:
    """Publish the files in rank 0's model folder; raise ArtifactError if there are none."""
    # logs alone are no model
    if all(path.name == TENSORBOARD for path in folder.iterdir()):
        raise ArtifactError(uri, "FAIRLEAD_MODEL_DIR: got no file, expected the model, which rank 0 writes there")
    parents = [dataset.parent] if dataset else []
    signature = _read_signature(folder / SIGNATURE_FILE, uri)
    with activity.during(f"publishing the model {uri}") as note:
        manifest = publish(
            folder,
            uri,
            kind="model",
            producer=PRODUCER,
            parents=parents,
            signature=signature,
            replace=replace,
            retry_seconds=_PUBLISH_SECONDS,
            on_unavailable=note,
        )
    log.info("model=%s digest=%s bytes=%d", uri, manifest.digest, manifest.size)
    return PublishedModel(uri=uri, digest=manifest.digest, version=version)


def _read_signature(file: Path, uri: str) -> Signature | None:
    if not file.exists():
        return None
    try:
        with open_regular(file) as opened:
            return Signature.parse_json(opened.read(MAX_BYTES + 1), file.name)
    except ContractError as error:
        raise ArtifactError(uri, str(error)) from None
