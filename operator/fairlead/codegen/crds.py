"""The CustomResourceDefinitions: schema, printer columns, short names, subresources."""

from dataclasses import dataclass
from typing import Any

from fairlead.api.base import Resource
from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.sweep import Sweep
from fairlead.api.training_job import TrainingJob
from fairlead.codegen.schema import build_schema
from fairlead.kube.kinds import MODEL_DEPLOYMENT, SWEEP, TRAINING_JOB, Kind


@dataclass(frozen=True)
class Definition:
    """The contents of a CRD besides its schema."""

    kind: Kind
    model: type[Resource]
    short_names: tuple[str, ...]
    columns: tuple[tuple[str, str, str], ...]
    """The columns of `kubectl get`: (name, type, JSON path)."""
    scale: dict[str, str] | None = None
    """The paths of the scale subresource; None if the kind cannot be scaled."""


def _condition(name: str, field: str = "status") -> str:
    return f'.status.conditions[?(@.type=="{name}")].{field}'


RESOURCES = (
    Definition(
        TRAINING_JOB,
        TrainingJob,
        ("tj",),
        (
            ("Phase", "string", ".status.phase"),
            ("Ready", "integer", ".status.workers.ready"),
            ("Workers", "integer", ".status.workers.desired"),
            ("Step", "integer", ".status.progress.step"),
            ("Total", "integer", ".status.progress.totalSteps"),
            ("Loss", "number", ".status.progress.metrics.loss"),
            ("Restarts", "integer", ".status.workers.restarts"),
            ("Model", "string", ".status.modelVersion"),
            ("Age", "date", ".metadata.creationTimestamp"),
        ),
        {
            "specReplicasPath": ".spec.workers.replicas",
            "statusReplicasPath": ".status.workers.ready",
            "labelSelectorPath": ".status.selector",
        },
    ),
    Definition(
        MODEL_DEPLOYMENT,
        ModelDeployment,
        ("mdep",),
        (
            ("Ready", "string", _condition("Ready")),
            ("Reason", "string", _condition("Ready", "reason")),
            ("Replicas", "integer", ".status.replicas"),
            ("Rollout", "string", ".status.rollout.phase"),
            ("Weight", "integer", ".status.rollout.weight"),
            ("URL", "string", ".status.url"),
            ("Age", "date", ".metadata.creationTimestamp"),
        ),
        {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    ),
    Definition(
        SWEEP,
        Sweep,
        ("sw",),
        (
            ("Phase", "string", ".status.phase"),
            ("Trials", "integer", ".status.counts.total"),
            ("Of", "integer", ".spec.maxTrials"),
            ("Running", "integer", ".status.counts.running"),
            ("Pruned", "integer", ".status.counts.pruned"),
            ("Failed", "integer", ".status.counts.failed"),
            ("Best", "number", ".status.best.value"),
            ("Trial", "string", ".status.best.job"),
            ("Age", "date", ".metadata.creationTimestamp"),
        ),
    ),
)


def build_crd(resource: Definition) -> dict[str, Any]:
    """Return the CustomResourceDefinition of a resource."""
    kind = resource.kind
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "shortNames": list(resource.short_names),
                "categories": ["fairlead"],
            },
            "versions": [
                {
                    "name": kind.version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}} | ({"scale": resource.scale} if resource.scale else {}),
                    "additionalPrinterColumns": [
                        {"name": name, "type": type_, "jsonPath": path} for name, type_, path in resource.columns
                    ],
                    "schema": {"openAPIV3Schema": build_schema(resource.model)},
                }
            ],
        },
    }
