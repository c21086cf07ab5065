"""The gate of a TrainingJob: its dataset must exist and, if required, have passed validation."""

from fairlead.api.training_job import Dataset
from fairlead.core.conditions import Finding
from fairlead.core.training_job.observed import Gate
from fairlead.core.validation import check_validation


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
    return check_validation(gate.validation, found.digest, dataset.suite)
