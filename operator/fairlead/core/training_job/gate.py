"""The gate of a TrainingJob: its dataset must exist and, if required, have passed validation."""

from fairlead_contracts.errors import ContractError
from fairlead_contracts.validation import KIND, ValidationResult

from fairlead.api.training_job import Dataset
from fairlead.core.artifacts import ArtifactFacts
from fairlead.core.conditions import Finding
from fairlead.core.training_job.observed import Gate


def check_gate(dataset: Dataset | None, gate: Gate) -> Finding | None:
    """Find why the job must wait: a missing dataset, another digest, or no passing validation result."""
    if dataset is None or gate.dataset is None:
        return None
    found = gate.dataset
    if found.error:
        return Finding("DatasetNotFound" if found.missing else "DatasetUnreadable", found.error)
    if dataset.digest and found.digest != dataset.digest:
        message = f"spec.dataset.digest: {dataset.uri} has {found.digest}, expected {dataset.digest}."
        return Finding("DatasetDigestMismatch", message)
    if not dataset.require_validation or gate.validation is None:
        return None
    return _check_validation(gate.validation, found.digest, dataset.suite)


def _check_validation(result: ArtifactFacts, digest: str, suite: str | None) -> Finding | None:
    """Find why a validation result does not pass: missing, invalid, for another dataset or suite, or failed."""
    uri = result.uri
    if result.missing:
        return Finding("ValidationMissing", f"No validation result for {digest}; expected it at {uri}.")
    if result.error:
        return Finding("ValidationUnreadable", result.error)
    if result.kind != KIND:
        return Finding("InvalidValidationResult", f"{uri}: got an artifact of kind {result.kind}, expected validation.")
    if all(parent.digest != digest for parent in result.parents):
        return Finding("InvalidValidationResult", f"{uri}: the result's parents do not include the dataset's {digest}.")
    try:
        verdict = ValidationResult.parse(dict(result.parameters), "parameters")
    except ContractError as error:
        return Finding("InvalidValidationResult", f"{uri}: {error}.")
    by = f"suite {verdict.suite or 'without a name'} ({verdict.suite_digest or 'of unknown digest'})"
    if suite and verdict.suite_digest != suite:
        return Finding("OtherSuiteValidated", f"{uri}: got a result of {by}, expected one of suite {suite}.")
    if not verdict.success:
        return Finding("ValidationFailed", f"{uri}: {by}: {'; '.join(verdict.failed) or 'no reason given'}.")
    return None
