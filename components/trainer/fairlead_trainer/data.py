"""The agent's use of the artifact store: the dataset in, the model out."""

import json
import logging
import time
from pathlib import Path

from fairlead_artifacts import (
    ArtifactError,
    Manifest,
    Parent,
    Signature,
    StoreUnavailable,
    fetch,
    publish,
)
from fairlead_contracts.termination import PublishedModel

from .export import SIGNATURE_FILE

log = logging.getLogger("agent")

PRODUCER = "fairlead-trainer/0.1.0"
_PAUSES = (1, 2, 4, 8)
"""Seconds between attempts to reach a store that does not answer."""


def fetch_dataset(uri: str, digest: str | None, folder: Path) -> Manifest:
    """Download and verify the dataset; raise ArtifactError when it is not what was asked for."""
    started = time.monotonic()
    for pause in (*_PAUSES, None):
        try:
            manifest = fetch(uri, folder, digest)
            break
        except StoreUnavailable as error:
            if pause is None:
                raise
            log.warning("trying again: %s", error)
            time.sleep(pause)
    if manifest.kind != "dataset":
        raise ArtifactError(uri, f"is of kind {manifest.kind!r}, expected 'dataset'")
    log.info("dataset=%s bytes=%d verified in %.1f s", manifest.digest, manifest.size, time.monotonic() - started)
    return manifest


def publish_model(
    folder: Path, uri: str, version: str | None, *, dataset: tuple[str, Manifest] | None, replace: bool
) -> PublishedModel | None:
    """Publish what rank 0 left in its model folder; return None where it left nothing."""
    if not any(folder.iterdir()):
        return None
    parents = [Parent("dataset", dataset[1].digest, dataset[0])] if dataset else []
    manifest = publish(
        folder,
        uri,
        kind="model",
        producer=PRODUCER,
        parents=parents,
        signature=_read_signature(folder / SIGNATURE_FILE, uri),
        replace=replace,
    )
    log.info("model=%s digest=%s bytes=%d", uri, manifest.digest, manifest.size)
    return PublishedModel(uri=uri, digest=manifest.digest, version=version)


def _read_signature(file: Path, uri: str) -> Signature | None:
    if not file.exists():
        return None
    try:
        signature: Signature = json.loads(file.read_text())
    except ValueError as error:
        raise ArtifactError(uri, f"{file.name} is not JSON: {error}") from None
    return signature  # The store checks its shape.
