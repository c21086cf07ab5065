"""Questions to the artifact store: a job's dataset and validation, a deployment's models and their ancestors."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from fairlead_artifacts import (
    ArtifactError,
    ArtifactNotFound,
    Manifest,
    NotSigned,
    PublicKey,
    StoreUnavailable,
    model_card_uri,
    open_model,
    read_manifest,
    validation_uri,
    verify,
)

from fairlead.api.base import ArtifactRef
from fairlead.api.graph import GraphNode
from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.model_gates import ModelCardGate, ProvenanceGate
from fairlead.api.training_job import Dataset
from fairlead.core.artifacts import ArtifactFacts
from fairlead.core.model_deployment.artifacts import label_nodes
from fairlead.core.model_deployment.observed import Artifacts, NodeArtifact
from fairlead.core.training_job.observed import Gate
from fairlead.kube.inquiries import Question

_CHAIN_LIMIT = 32
"""The maximum number of artifacts in a status, for each predictor."""
_MAX_NAME, _MAX_URI = 253, 2048

Allowed = Callable[[str], bool]
"""Whether a URI may be read for a namespace."""


@dataclass(frozen=True)
class _Gates:
    """What a deployment asks of its models, which decides what is read."""

    provenance: ProvenanceGate | None
    card: ModelCardGate | None
    signers: tuple[str, ...]
    """The keys of which one has to have signed each model, if there are some."""


def ask_gate(dataset: Dataset) -> Question[Gate]:
    """Ask for a job's dataset and, if required, the validation result of its digest."""
    return Question(
        dataset,
        lambda: _read_gate(dataset),
        lambda problem: Gate(_unavailable(dataset.uri, problem)),
    )


def ask_artifacts(deployment: ModelDeployment, allowed: Allowed) -> Question[Artifacts]:
    """Ask for the manifests of all models and of those ancestors that may be read."""
    nodes = [(name, node) for name, node in label_nodes(deployment) if node.model_uri]
    limit = _CHAIN_LIMIT * len(deployment.spec.predictors)
    gates = _Gates(deployment.spec.require_provenance, deployment.spec.require_model_card, _keys(deployment))
    return Question(
        (gates, [(name, node.model_uri, node.digest) for name, node in nodes]),
        lambda: _read_artifacts(nodes, allowed, gates, limit),
        lambda problem: Artifacts(
            tuple(
                NodeArtifact(name, node.model_uri, _unavailable(node.model_uri, problem))
                for name, node in nodes
                if node.model_uri
            )
        ),
    )


def _read_gate(dataset: Dataset) -> Gate:
    found = _read(dataset.uri)
    if not found.digest or not dataset.require_validation:
        return Gate(found)
    return Gate(found, _read(validation_uri(dataset.uri, found.digest), keys=dataset.public_keys))


def _keys(deployment: ModelDeployment) -> tuple[str, ...]:
    signature = deployment.spec.require_signature
    return tuple(signature.public_keys) if signature else ()


def _read_artifacts(nodes: Iterable[tuple[str, GraphNode]], allowed: Allowed, gates: _Gates, limit: int) -> Artifacts:
    """Read the manifests of models and their ancestors, and of validation results and cards if they are needed."""
    found: list[NodeArtifact] = []
    chain: dict[tuple[str, str], ArtifactRef] = {}
    ancestors: list[ArtifactFacts] = []
    for name, node in nodes:
        if node.model_uri:
            facts = _read_model(node.model_uri, node.digest, gates.signers)
            found.append(NodeArtifact(name, node.model_uri, facts))
            if facts.digest:
                chain[facts.uri, facts.digest] = ArtifactRef(name=name, uri=facts.uri, digest=facts.digest)
            _follow(facts, chain, ancestors, allowed, limit)
    results, cards = {}, {}
    if gates.provenance is not None:
        for facts in ancestors:
            if facts.kind == "dataset":
                place = validation_uri(facts.uri, facts.digest)
                results[facts.uri, facts.digest] = _read(place, keys=gates.provenance.public_keys)
    if gates.card is not None:
        for model in (each.artifact for each in found if each.artifact.digest):
            place = model_card_uri(model.uri, model.digest)
            cards[model.uri, model.digest] = _read(place, keys=gates.card.public_keys)
    return Artifacts(tuple(found), tuple(chain.values())[:limit], tuple(ancestors), results, cards)


def _follow(
    artifact: ArtifactFacts, chain: dict[tuple[str, str], ArtifactRef], ancestors: list[ArtifactFacts],
    allowed: Allowed, limit: int,
) -> None:  # fmt: skip
    """Add an artifact's ancestors. One that is deleted or not allowed is recorded too, but its own are unknown."""
    for parent in artifact.parents:
        key = (parent.uri, parent.digest)
        if key in chain or len(chain) >= limit:
            continue
        chain[key] = parent
        if parent.uri and allowed(parent.uri):
            ancestors.append(facts := _read(parent.uri, parent.digest))
            _follow(facts, chain, ancestors, allowed, limit)


def _read(uri: str, digest: str | None = None, keys: Sequence[str] = ()) -> ArtifactFacts:
    """Read a manifest, and whether one of some keys has signed it; an error is returned as a fact."""
    try:
        return _check_signature(_view(uri, read_manifest(uri, digest)), keys)
    except ArtifactError as error:
        return _failed(uri, error)


def _read_model(model_uri: str, digest: str | None, keys: Sequence[str]) -> ArtifactFacts:
    """Read the manifest of the artifact that a modelUri refers to, directly or by one of its files."""
    try:
        place, manifest = open_model(model_uri, partial(read_manifest, digest=digest))
        return _check_signature(_view(place.artifact, manifest), keys)
    except ArtifactError as error:
        return _failed(model_uri, error)


def _check_signature(facts: ArtifactFacts, keys: Sequence[str]) -> ArtifactFacts:
    """Add why none of the keys has signed an artifact, if there are keys; raise ArtifactError."""
    try:
        if keys:
            verify(facts.uri, facts.digest, [PublicKey.parse(key, f"publicKeys[{at}]") for at, key in enumerate(keys)])
    except NotSigned as error:
        return replace(facts, unsigned=str(error))
    return facts


def _failed(uri: str, error: ArtifactError) -> ArtifactFacts:
    missing, unavailable = isinstance(error, ArtifactNotFound), isinstance(error, StoreUnavailable)
    return ArtifactFacts(uri, error=str(error), missing=missing, unavailable=unavailable)


def _unavailable(uri: str, problem: str) -> ArtifactFacts:
    return ArtifactFacts(uri, error=f"{uri}: {problem}", unavailable=True)


def _view(uri: str, manifest: Manifest) -> ArtifactFacts:
    # a status holds what its writer says of the parents, so it is bounded
    parents = tuple(
        ArtifactRef(name=parent.name[:_MAX_NAME], uri=(parent.uri or "")[:_MAX_URI], digest=parent.digest)
        for parent in manifest.parents[:_CHAIN_LIMIT]
    )
    return ArtifactFacts(uri, manifest.digest, manifest.kind, parents, manifest.parameters)
