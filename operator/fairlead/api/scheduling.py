"""The scheduling policy of a TrainingJob: which frameworks start its pods together, and with which priority."""

from typing import ClassVar

from pydantic import Field

from fairlead.api.base import ApiModel, Rule

_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"


class Coscheduling(ApiModel):
    """Scheduling of all pods or none by the coscheduling plugin, for which the job gets a PodGroup."""

    scheduler_name: str | None = Field(None, max_length=253, pattern=_SUBDOMAIN)
    """The scheduler that runs the plugin. If unset, that of the pod templates."""
    schedule_timeout_seconds: int | None = Field(None, ge=1, le=86_400)
    """How long scheduled pods wait for the others. The plugin's own setting if unset."""


class Kueue(ApiModel):
    """Admission of all pods together by Kueue, to the queue in the job's label `kueue.x-k8s.io/queue-name`."""


class SchedulingPolicy(ApiModel):
    """What decides when and where the pods start."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.priorityClassName) || !self.priorityClassName.startsWith('system-')",
            "priorityClassName: system priority classes are not allowed",
            lambda policy: not (policy.priority_class_name or "").startswith("system-"),
            field=".priorityClassName",
        ),
    )

    coscheduling: Coscheduling | None = None
    """Schedule the pods together with the coscheduling plugin of the scheduler."""
    kueue: Kueue | None = None
    """Queue the pods as a group in Kueue."""
    priority_class_name: str | None = Field(None, min_length=1, max_length=253)
    """The priority class of pods whose template names none."""
