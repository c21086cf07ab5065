"""What the artifact store says: a job's dataset and validation, a deployment's models and their ancestors.

`fairlead_artifacts` is synchronous: every call here runs in a thread, so that a slow store holds up one resource only.
"""

import asyncio

from fairlead_artifacts import ArtifactError, ArtifactNotFound, Manifest, read_manifest, validation_uri

from fairlead.api.base import ArtifactRef
from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.training_job import Dataset
from fairlead.core.conditions import Finding
from fairlead.core.model_deployment.observed import Artifacts
from fairlead.core.training_job.observed import Gate

_CHAIN_LIMIT = 32
"""More ancestors than this are not followed: a status is no archive."""


async def observe_gate(dataset: Dataset | None) -> Gate:
    """Look for a job's dataset and, where it is required, a passing validation of exactly that digest."""
    return await asyncio.to_thread(_read_gate, dataset) if dataset else Gate()


async def observe_artifacts(deployment: ModelDeployment) -> Artifacts:
    """Read the manifest of every model of every graph, and of what they were made from."""
    return await asyncio.to_thread(_read_artifacts, deployment)


def _read_gate(dataset: Dataset) -> Gate:
    try:
        manifest = read_manifest(dataset.uri)
    except ArtifactNotFound as error:
        return Gate(Finding("DatasetNotFound", str(error)))
    except ArtifactError as error:
        return Gate(Finding("DatasetUnreadable", str(error)))
    found = ArtifactRef(name="dataset", uri=dataset.uri, digest=manifest.digest)
    if dataset.digest and manifest.digest != dataset.digest:
        message = f"spec.dataset.digest: {dataset.uri} has {manifest.digest}, expected {dataset.digest}."
        return Gate(Finding("DatasetDigestMismatch", message))
    if not dataset.require_validation:
        return Gate(artifacts=(found,))
    uri = validation_uri(dataset.uri, manifest.digest)
    try:
        result = read_manifest(uri)
    except ArtifactNotFound:
        message = f"No validation result for {manifest.digest}: expected a passing one at {uri}."
        return Gate(Finding("ValidationMissing", message))
    except ArtifactError as error:
        return Gate(Finding("ValidationUnreadable", str(error)))
    if finding := _check_validation(result, manifest.digest, uri):
        return Gate(finding)
    return Gate(artifacts=(found, ArtifactRef(name="validation", uri=uri, digest=result.digest)))


def _check_validation(result: Manifest, digest: str, uri: str) -> Finding | None:
    """Find why a result does not open the gate: another kind of artifact, another dataset, a failed expectation."""
    if result.kind != "validation":
        return Finding("ValidationRefused", f"{uri}: got an artifact of kind {result.kind}, expected validation.")
    if all(parent.digest != digest for parent in result.parents):
        return Finding("ValidationRefused", f"{uri}: the result's parents do not include the dataset's {digest}.")
    if result.parameters.get("success") is not True:
        failed = result.parameters.get("failed")
        reasons = "; ".join(str(item) for item in failed) if isinstance(failed, list) else "no reason given"
        return Finding("ValidationFailed", f"{uri}: {reasons}.")
    return None


def _read_artifacts(deployment: ModelDeployment) -> Artifacts:
    digests: dict[str, str] = {}
    chain: dict[tuple[str, str], ArtifactRef] = {}
    for predictor in deployment.spec.predictors:
        for node in predictor.graph.walk():
            if not node.model_uri:
                continue
            uri = _artifact_of(node.model_uri)
            try:
                manifest = read_manifest(uri, node.digest)
            except ArtifactNotFound as error:
                return Artifacts(finding=Finding("ModelNotFound", f"Node {node.name}: {error}"))
            except ArtifactError as error:
                return Artifacts(finding=Finding("ModelRefused", f"Node {node.name}: {error}"))
            digests[node.model_uri] = manifest.digest
            chain[uri, manifest.digest] = ArtifactRef(name=node.name, uri=uri, digest=manifest.digest)
            _follow(manifest, chain)
    return Artifacts(digests, tuple(chain.values())[:_CHAIN_LIMIT])


def _follow(manifest: Manifest, chain: dict[tuple[str, str], ArtifactRef]) -> None:
    """Add an artifact's ancestors; one that is gone by now ends its branch, its digest stays on record."""
    for parent in manifest.parents:
        key = (parent.uri or "", parent.digest)
        if key in chain or len(chain) >= _CHAIN_LIMIT:
            continue
        chain[key] = ArtifactRef(name=parent.name, uri=parent.uri or "", digest=parent.digest)
        if parent.uri:
            try:
                _follow(read_manifest(parent.uri, parent.digest), chain)
            except ArtifactError:
                continue


def _artifact_of(model_uri: str) -> str:
    """Return the artifact's folder: a modelUri may name one file of it."""
    return model_uri.rpartition("/")[0] if model_uri.endswith(".onnx") else model_uri
