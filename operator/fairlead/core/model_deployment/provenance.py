"""The gates of a ModelDeployment: who vouches for its models, and where they come from, down to a validated dataset."""

from fairlead_contracts.errors import ContractError
from fairlead_contracts.parity import ConversionTable

from fairlead.api.base import ArtifactRef
from fairlead.api.model_deployment import ModelDeployment
from fairlead.core.artifacts import ArtifactFacts
from fairlead.core.conditions import Finding
from fairlead.core.model_deployment.artifacts import label_nodes
from fairlead.core.model_deployment.observed import Artifacts
from fairlead.core.validation import check_validation

_NOT_ASKED_FOR = ("ValidationMissing", "ValidationNotSigned")
"""What may be so with the validation of a dataset from which a validated one was made."""


def check_provenance(deployment: ModelDeployment, artifacts: Artifacts) -> Finding | None:
    """Find the first model whose origin is not known, if the deployment asks for it.

    A model that the store cannot be asked for now, but which was served before, has been judged then: it has no kind.
    """
    gate = deployment.spec.require_provenance
    if gate is None:
        return None
    types = {name: node.role for name, node in label_nodes(deployment)}
    for node in artifacts.nodes:
        model = node.artifact
        if not model.kind:
            continue
        known = _Known(artifacts, gate.suite)
        finding = known.check_model(model) if types[node.node] == "MODEL" else known.check_ancestors(model)
        if finding:
            return Finding(finding.reason, f"Node {node.node}: {finding.message}")
    return None


def check_signatures(artifacts: Artifacts) -> Finding | None:
    """Find the first model that no key which counts has signed, if the deployment asks for it."""
    for node in artifacts.nodes:
        if node.artifact.unsigned:
            return Finding("ModelNotSigned", f"Node {node.node}: {node.artifact.unsigned}.")
    return None


class _Known:
    """What is known of the ancestors."""

    def __init__(self, artifacts: Artifacts, suite: str | None) -> None:
        self._ancestors = {(facts.uri, facts.digest): facts for facts in artifacts.ancestors}
        self._failed = {facts.uri: facts for facts in artifacts.ancestors if facts.error}
        self._validations, self._suite = artifacts.validations, suite
        self._good: set[tuple[str, str, bool]] = set()

    def check_model(self, model: ArtifactFacts) -> Finding | None:
        """Find what is missing between a converted model and its dataset."""
        try:
            ConversionTable.parse(dict(model.parameters), "parameters")
        except ContractError as error:
            return Finding("ProvenanceIncomplete", f"{model.uri} has no figures of a conversion: {error}.")
        trained = [facts for parent in model.parents if (facts := self._find(parent)) and facts.kind == "model"]
        if finding := self.check_ancestors(model):
            return finding
        if not trained:
            return Finding("ProvenanceIncomplete", f"{model.uri} names no model from which it was converted.")
        for facts in trained:
            if not any((found := self._find(parent)) and found.kind == "dataset" for parent in facts.parents):
                return Finding("ProvenanceIncomplete", f"{facts.uri} names no dataset on which it was trained.")
        return None

    def check_ancestors(self, artifact: ArtifactFacts, validated: bool = False) -> Finding | None:
        """Find an ancestor that cannot be read, or a dataset that has not passed its validation.

        What a validated dataset was made of needs none: that of the dataset is about what became of it.
        """
        key = (artifact.uri, artifact.digest, validated)
        if key in self._good:  # or what many share would be judged once for each way to it
            return None
        for parent in artifact.parents:
            if (facts := self._find(parent)) is None:
                return self._explain(parent)
            result = self._validations.get((facts.uri, facts.digest))
            if result and (finding := self._check_dataset(facts, result, validated)):
                return finding
            if finding := self.check_ancestors(facts, validated or result is not None):
                return finding
        self._good.add(key)
        return None

    def _check_dataset(self, facts: ArtifactFacts, result: ArtifactFacts, validated: bool) -> Finding | None:
        """Find why a dataset has not passed; below a validated one, only a result that says so or cannot be judged."""
        if not validated:
            return check_validation(result, facts.digest, self._suite)
        finding = check_validation(result, facts.digest, None)
        return None if finding and finding.reason in _NOT_ASKED_FOR else finding

    def _find(self, parent: ArtifactRef) -> ArtifactFacts | None:
        return self._ancestors.get((parent.uri, parent.digest))

    def _explain(self, parent: ArtifactRef) -> Finding:
        name = f"{parent.name or 'an ancestor'} ({parent.digest})"
        if failed := self._failed.get(parent.uri):
            reason = "StoreUnavailable" if failed.unavailable else "ProvenanceIncomplete"
            return Finding(reason, f"{name} cannot be read: {failed.error}")
        return Finding("ProvenanceIncomplete", f"{name} cannot be read at {parent.uri or 'an unknown place'}.")
