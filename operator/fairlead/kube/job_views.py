"""Conversion of TrainingJobs that ModelDeployments and Sweeps own to the views that planners read."""

from typing import Any

import orjson
from pydantic import ValidationError

from fairlead.api.training_job_status import Progress, TrainingJobStatus
from fairlead.core import names
from fairlead.core.views import JobView, TrialView
from fairlead.kube.views import MAX_DESCRIPTION, MAX_NAME, MAX_STATE, Object, as_count, as_number, as_object, as_text

_MAX_URI = 2048
_MAX_ANNOTATION = 1 << 14
"""Characters of a trial's parameters: 20 of 63 and 64 characters."""


def view_job(job: Object) -> JobView:
    """Return the view of a TrainingJob; anyone who may write its status may have written that."""
    meta, status = job["metadata"], as_object(job.get("status"))
    version = f"{meta['name']}-{meta['uid'][:8]}"
    phase = as_text(status.get("phase"), MAX_STATE)
    checkpoint = as_object(as_object(job.get("spec")).get("checkpoint")).get("uri")
    saved = as_count(as_object(status.get("progress")).get("checkpointStep"))
    return JobView(
        name=meta["name"],
        uid=meta["uid"],
        deleting="deletionTimestamp" in meta,
        phase=phase,
        message=_find_message(status, phase),
        model=_find_artifact(status, "model"),
        dataset=_find_artifact(status, "dataset"),
        checkpoints=f"{checkpoint}/{version}" if saved and isinstance(checkpoint, str) else None,
    )


def view_trial(obj: Object) -> TrialView:
    """Return the view of a Sweep's TrainingJob; its annotation is left out if it is none of ours."""
    meta, status = obj["metadata"], _read_job_status(obj)
    progress = status.progress or Progress()
    return TrialView(
        name=meta["name"],
        uid=meta["uid"],
        number=as_number(meta.get("labels", {}).get(names.TRIAL, "")),
        values=_read_values(meta.get("annotations", {}).get(names.TRIAL_PARAMETERS, "")),
        phase=status.phase,
        message=next(
            (each.message for each in status.conditions if (each.type, each.status) == (status.phase, "True")), ""
        ),
        started=status.start_time is not None,
        suspended=bool(obj.get("spec", {}).get("runPolicy", {}).get("suspend", False)),
        deleting="deletionTimestamp" in meta,
        step=progress.step,
        total_steps=progress.total_steps,
        metrics=tuple(progress.metrics.items()),
        model=next((artifact for artifact in status.provenance if artifact.name == "model"), None),
    )


def _read_job_status(obj: Object) -> TrainingJobStatus:
    """Read the status of a TrainingJob; one that only another client can have written counts as none."""
    try:
        return TrainingJobStatus.model_validate(obj.get("status") or {})
    except ValidationError:
        return TrainingJobStatus()


def _find_message(status: Object, phase: str) -> str:
    """Return what the condition of a job's phase says."""
    conditions = _list_objects(status.get("conditions"))
    explained_by = {"Pending": "Running"}.get(phase, phase)  # why it does not run yet
    found = next((each for each in conditions if each.get("type") == explained_by), {})
    return as_text(found.get("message"), MAX_DESCRIPTION)


def _find_artifact(status: Object, name: str) -> tuple[str, str] | None:
    """Return the URI and digest of an artifact in a job's provenance."""
    for each in _list_objects(status.get("provenance")):
        if each.get("name") == name:
            return as_text(each.get("uri"), _MAX_URI), as_text(each.get("digest"), MAX_NAME)
    return None


def _list_objects(value: Any) -> list[Object]:
    return [as_object(each) for each in value] if isinstance(value, list) else []


def _read_values(text: str) -> tuple[tuple[str, str], ...]:
    """Return the values in a trial's annotation; empty if it is invalid. The planner compares them with the spec."""
    try:
        found = as_object(orjson.loads(text)) if len(text) <= _MAX_ANNOTATION else {}
    except orjson.JSONDecodeError:
        return ()
    return tuple((name, value) for name, value in found.items() if isinstance(value, str))
