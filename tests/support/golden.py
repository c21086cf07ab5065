"""Golden files: a plan as YAML, compared or, with --update-golden, written."""

import json
from pathlib import Path
from typing import Any

import yaml
from fairlead.core.plan import Plan


def check_golden(plan: Plan, file: Path, update: bool) -> None:
    """Compare a plan with its golden file; with `update`, write the file instead."""
    found = render_plan(plan)
    if update:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(found)
    assert file.exists(), f"{file.name} is missing: run with --update-golden and review the result"
    assert found == file.read_text()


def render_plan(plan: Plan) -> str:
    """Return the whole plan as YAML."""
    occasions = [event.occasion for event in plan.events]
    content: dict[str, Any] = {
        "status": plan.status.model_dump(mode="json", by_alias=True, exclude_none=True),
        "delete": [f"{deletion.kind}/{deletion.name} {deletion.uid}" for deletion in plan.delete],
        **(
            {"deleteCounted": [f"{gone.kind}/{gone.name} {gone.uid}" for gone in plan.delete_counted]}
            if plan.delete_counted
            else {}
        ),
        "events": [f"{event.type} {event.reason} ({event.action}): {event.message}" for event in plan.events],
        # equal events of the same occasion are sent once
        **({"occasions": occasions} if any(occasions) else {}),
        "requeueAfter": plan.requeue_after,
        **(
            {"patches": [f"{p.kind}/{p.name} {p.uid} {json.dumps(p.body)}" for p in plan.patches]}
            if plan.patches
            else {}
        ),
        **({"expired": True} if plan.expired else {}),
        "apply": list(plan.apply),
        **({"applyLast": list(plan.apply_last)} if plan.apply_last else {}),
    }
    return yaml.dump(content, Dumper=_NoAliases, sort_keys=False, width=110, allow_unicode=True)


class _NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True
