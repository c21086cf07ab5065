"""The agent's access to the artifact store: fetch the dataset, publish the model."""

import logging
import time
from pathlib import Path

from fairlead_artifacts import (
    ArtifactError,
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

log = logging.getLogger("agent")

PRODUCER = "fairlead-trainer/0.1.0"
FETCH_SECONDS = 60.0
"""How long to retry while the store is unavailable, before anything was computed."""
_PUBLISH_SECONDS = 1200.0
"""The same, for a model that has been trained: an outage must not cost the training."""


def fetch_dataset(uri: str, digest: str | None, folder: Path) -> Manifest:
    """Download and verify the dataset; raise ArtifactError if it is not the requested one."""
    started = time.monotonic()
    manifest = retry_unavailable(lambda: fetch(uri, folder, digest), FETCH_SECONDS)
    if manifest.kind != "dataset":
        raise ArtifactError(uri, f"is of kind {manifest.kind!r}, expected 'dataset'")
    log.info("dataset=%s bytes=%d verified in %.1f s", manifest.digest, manifest.size, time.monotonic() - started)
    return manifest


def publish_model(
    folder: Path, uri: str, version: str | None, *, dataset: tuple[str, Manifest] | None, replace: bool
) -> PublishedModel:
    """Publish the files in rank 0's model folder; raise ArtifactError if there are none."""
    if not any(folder.iterdir()):
        raise ArtifactError(uri, "FAIRLEAD_MODEL_DIR: got no file, expected the model, which rank 0 writes there")
    parents = [Parent("dataset", dataset[1].digest, dataset[0])] if dataset else []
    signature = _read_signature(folder / SIGNATURE_FILE, uri)
    manifest = publish(
        folder,
        uri,
        kind="model",
        producer=PRODUCER,
        parents=parents,
        signature=signature,
        replace=replace,
        retry_seconds=_PUBLISH_SECONDS,
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
