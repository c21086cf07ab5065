"""The judgement on a validation result, for jobs that train on a dataset and for models that were trained on it."""

from fairlead_contracts.errors import ContractError
from fairlead_contracts.validation import KIND, ValidationResult

from fairlead.core.artifacts import ArtifactFacts
from fairlead.core.conditions import Finding


def check_validation(result: ArtifactFacts, digest: str, suite: str | None) -> Finding | None:
    """Find why a validation result does not pass: missing, unsigned, invalid, of something else, or failed."""
    uri = result.uri
    if result.missing:
        return Finding("ValidationMissing", f"No validation result for {digest}; expected it at {uri}.")
    if result.error:
        return Finding("ValidationUnreadable", result.error)
    if result.unsigned:
        return Finding("ValidationNotSigned", f"{result.unsigned}.")
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
