"""Observation of the artifact store: a job's dataset and validation, a deployment's models and their ancestors.

`fairlead_artifacts` is synchronous: every read runs in a thread, so that a slow store delays only one resource.
"""

import asyncio
from functools import partial

from fairlead_artifacts import ArtifactError, ArtifactNotFound, Manifest, open_model, read_manifest, validation_uri

from fairlead.api.base import ArtifactRef
from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.training_job import Dataset
from fairlead.core.artifacts import ArtifactFacts
from fairlead.core.model_deployment.observed import Artifacts, NodeArtifact
from fairlead.core.training_job.observed import Gate

_CHAIN_LIMIT = 32
"""The maximum number of artifacts in a status."""


async def observe_gate(dataset: Dataset | None) -> Gate:
    """Read a job's dataset and, if required, the validation result of its digest."""
    return await asyncio.to_thread(_read_gate, dataset) if dataset else Gate()


async def observe_artifacts(deployment: ModelDeployment) -> Artifacts:
    """Read the manifests of all models and of their ancestors."""
    return await asyncio.to_thread(_read_artifacts, deployment)


def _read_gate(dataset: Dataset) -> Gate:
    found = _read(dataset.uri)
    if not found.digest or not dataset.require_validation:
        return Gate(found)
    return Gate(found, _read(validation_uri(dataset.uri, found.digest)))


def _read_artifacts(deployment: ModelDeployment) -> Artifacts:
    nodes: list[NodeArtifact] = []
    chain: dict[tuple[str, str], ArtifactRef] = {}
    for predictor in deployment.spec.predictors:
        for node in predictor.graph.walk():
            if node.model_uri:
                facts = _read_model(node.model_uri, node.digest)
                nodes.append(NodeArtifact(node.name, node.model_uri, facts))
                if facts.digest:
                    chain[facts.uri, facts.digest] = ArtifactRef(name=node.name, uri=facts.uri, digest=facts.digest)
                _follow(facts, chain)
    return Artifacts(tuple(nodes), tuple(chain.values())[:_CHAIN_LIMIT])


def _follow(artifact: ArtifactFacts, chain: dict[tuple[str, str], ArtifactRef]) -> None:
    """Add an artifact's ancestors. A deleted one is recorded too, but its own ancestors are unknown."""
    for parent in artifact.parents:
        key = (parent.uri, parent.digest)
        if key in chain or len(chain) >= _CHAIN_LIMIT:
            continue
        chain[key] = parent
        if parent.uri:
            _follow(_read(parent.uri, parent.digest), chain)


def _read(uri: str, digest: str | None = None) -> ArtifactFacts:
    """Read a manifest; an error is returned as a fact."""
    try:
        return _view(uri, read_manifest(uri, digest))
    except ArtifactError as error:
        return ArtifactFacts(uri, error=str(error), missing=isinstance(error, ArtifactNotFound))


def _read_model(model_uri: str, digest: str | None) -> ArtifactFacts:
    """Read the manifest of the artifact that a modelUri refers to, directly or by one of its files."""
    try:
        place, manifest = open_model(model_uri, partial(read_manifest, digest=digest))
    except ArtifactError as error:
        return ArtifactFacts(model_uri, error=str(error), missing=isinstance(error, ArtifactNotFound))
    return _view(place.artifact, manifest)


def _view(uri: str, manifest: Manifest) -> ArtifactFacts:
    parents = tuple(ArtifactRef(name=p.name, uri=p.uri or "", digest=p.digest) for p in manifest.parents)
    return ArtifactFacts(uri, manifest.digest, manifest.kind, parents, manifest.parameters)
