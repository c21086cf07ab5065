"""The end state of a life: what must not depend on faults."""

import re
from typing import Any

from fairlead.core import names
from fairlead.kube.kinds import CONFIG_MAP, CONTROLLER_REVISION, DEPLOYMENT, EVENT, POD, SECRET, SERVICE, Kind

from tests.chaos.operator.stage import NAME, Stage

Object = dict[str, Any]
CHILDREN = (POD, SERVICE, SECRET, CONFIG_MAP, DEPLOYMENT, CONTROLLER_REVISION)
_HASH = re.compile(r"(-[0-9a-f]{8,10})+$|(-[0-9a-f]{8,10})*-[4-9bcdf]{1,10}-[0-9a-z]{5}$")
"""The parts of names that depend on the namespace, and those of a ReplicaSet's pods: its number of 32 bits in digits of
its own, and five random characters."""


async def read_end_state(stage: Stage, kind: Kind) -> Object:
    """Return what must not depend on faults: status without times, children by name, events by reason."""
    obj = await stage.kube.find(kind, NAME, stage.namespace)
    status = obj.get("status", {}) if obj else {}
    conditions = {c["type"]: f"{c['status']} {c['reason']}" for c in status.get("conditions", [])}
    keys = ("phase", "workers", "elastic", "resumedFromStep", "replicas", "predictors", "observedGeneration")
    events = await stage.kube.list(EVENT, stage.namespace)
    children: dict[str, Object] = {}
    for child_kind in CHILDREN:
        for child in await stage.children(child_kind):
            facts = {"phase": child.get("status", {}).get("phase", "")} if child_kind is POD else {}
            name = _HASH.sub("-…", child["metadata"]["name"])
            found = children.setdefault(f"{child_kind.kind} {name}", {"count": 0, **facts})
            found["count"] += 1
            if child_kind is CONFIG_MAP:
                digests = re.findall(r"sha256:[0-9a-f]{64}", child["data"].get("graph.json", ""))
                found["models"] = sorted({*found.get("models", ()), *digests})
    for replaced in status.get("elastic", {}).get("replaced", []):
        replaced.pop("uid", None)
    return {
        "exists": obj is not None,
        **{key: status[key] for key in keys if key in status},
        "conditions": conditions,
        "times": sorted(key for key in ("startTime", "completionTime") if key in status),
        "provenance": [item["name"] for item in status.get("provenance", [])],
        "step": status.get("progress", {}).get("step"),
        "children": children,
        "rollout": await _read_rollout(stage, status),
        "events": sorted({e["reason"] for e in events if e.get("reportingController") == "fairlead.dev/operator"}),
    }


async def _read_rollout(stage: Stage, status: Object) -> Object | None:
    """Return where a rollout is, with models for revisions, and whether servers do what the status says."""
    rollout = status.get("rollout")
    if rollout is None:
        return None
    records = await stage.children(CONTROLLER_REVISION)
    models = {
        record["metadata"]["labels"][names.REVISION]: record["data"]["predictor"]["graph"]["modelUri"].rsplit("/")[-1]
        for record in records
    }
    stated = (status.get("stableRevision"), rollout.get("generation"), rollout.get("window"))
    keys = ("phase", "step", "weight", "mirror", "reason", "failures", "paused", "command", "servers", "confirmed")
    return {
        "stable": models.get(stated[0]),
        "candidate": models.get(status.get("candidateRevision")),
        "failed": models.get(rollout.get("failedRevision")),
        "records": sorted(models.values()),
        **{key: rollout.get(key) for key in keys},
        "in force": sorted(
            (server.model, (facts.revision, facts.generation, facts.window) == stated, len(facts.routes))
            for server in stage.kubelet.graphs.list_servers(stage.namespace)
            if (facts := server.to_facts())
        ),
    }
