"""The TrainingJobs of a Sweep's trials."""

import json
import re
from typing import Any

from pydantic import ValidationError

from fairlead.api.group import API_VERSION
from fairlead.api.sweep import Sweep
from fairlead.api.sweep_status import TrialStatus
from fairlead.api.training_job import TrainingJob
from fairlead.core import names
from fairlead.core.children import Object, build_owned
from fairlead.core.conditions import Finding
from fairlead.core.sweep.values import Values

_REFERENCE = re.compile(r"\$\{(trial(?:Name|Parameters)\b[^}]*)\}")
"""What looks like a reference to a parameter: other texts in ${…}, such as a shell's, stay as they are."""


def build_trial(sweep: Sweep, trial: TrialStatus) -> Object:
    """Return the TrainingJob of a trial."""
    template, name = sweep.spec.template, names.trial_name(sweep, trial.number)
    texts = _name_texts(name, trial.parameters)
    meta = template.metadata.to_dict() if template.metadata else {}
    job = build_owned(sweep, API_VERSION, "TrainingJob", name, {})
    job["metadata"]["labels"] = (
        _replace(names.without_reserved(meta.get("labels", {})), texts)
        | names.sweep_labels(sweep)
        | {names.TRIAL: str(trial.number)}
    )
    values = json.dumps(trial.parameters, ensure_ascii=False)
    job["metadata"]["annotations"] = _replace(meta.get("annotations", {}), texts) | {names.TRIAL_PARAMETERS: values}
    spec = template.spec.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    return job | {"spec": _replace(spec, texts)}


def check_template(sweep: Sweep, trial: TrialStatus) -> Finding | None:
    """Find a reference in the template to a parameter that does not exist, or an invalid job that it leads to."""
    job = build_trial(sweep, trial)
    if unknown := _find_reference(job["metadata"]) or _find_reference(job["spec"]):
        expected = ", ".join(f"${{trialParameters.{each.name}}}" for each in sweep.spec.parameters)
        return Finding("InvalidTemplate", f"spec.template: got ${{{unknown}}}, expected ${{trialName}} or {expected}.")
    try:
        TrainingJob.model_validate(job)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        return Finding("InvalidTemplate", f"spec.template: trial {trial.number} is no valid job: {problems}.")
    return None


def _name_texts(name: str, values: Values) -> dict[str, str]:
    return {"trialName": name} | {f"trialParameters.{key}": value for key, value in values.items()}


def _replace(value: Any, texts: dict[str, str]) -> Any:
    """Replace the references in all texts of a value; unknown ones stay. What is put in is not read again."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: texts.get(found[1], found[0]), value)
    if isinstance(value, dict):
        return {key: _replace(item, texts) for key, item in value.items()}
    return [_replace(item, texts) for item in value] if isinstance(value, list) else value


def _find_reference(value: Any) -> str:
    """Return the first reference in the texts of a value; empty if there is none."""
    if isinstance(value, str):
        match = _REFERENCE.search(value)
        return match[1] if match else ""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for item in items if (found := _find_reference(item))), "")
