"""The changes of a TrainingJob that the API server rejects, by rules that compare it with its stored version.

What a job trains never changes: its pods would take the change at their next attempt, and the provenance of the model
would name what only a part of it was trained with. While the job is held, the number of workers and what queues such
as Kueue inject may change: labels, annotations, node selectors, tolerations, affinity. Everything in runPolicy may
change at any time, except who manages the job; of a finished job only the time for which it is kept may.
"""

from collections.abc import Iterable

from fairlead.api.base import Rule

_HELD = "(oldSelf.spec.runPolicy.suspend && !(has(oldSelf.status) && has(oldSelf.status.startTime)))"
"""Whether the stored job is suspended and its pods are being deleted: the operator removes startTime when it has
deleted them, and creates none before they are gone."""

_KEPT_FOR = "ttlSecondsAfterFinished"
_TRAINED = ("containers", "initContainers", "volumes")
"""The fields of a pod's spec that hold what a job trains."""


def immutable(path: str, *, optional: bool = False) -> Rule:
    """Return the rule that a field of the spec never changes; `optional` if it may be absent."""
    same = _same(path) if optional else f"self.{path} == oldSelf.{path}"
    return Rule(same, f"{path}: field is immutable; create a new job", field=f".{path}")


def finished(fields: Iterable[str], policy_fields: Iterable[str]) -> Rule:
    """Return the rule for a job that has finished, from the fields of its spec and of its run policy."""
    paths = [f"spec.{field}" for field in fields if field != "runPolicy"]
    paths += [f"spec.runPolicy.{field}" for field in policy_fields if field != _KEPT_FOR]
    same = " && ".join(f"({_same(path)})" for path in paths)
    return Rule(
        f"!has(oldSelf.status) || !has(oldSelf.status.completionTime) || ({same})",
        f"spec: a finished job cannot be changed, except spec.runPolicy.{_KEPT_FOR}; create a new job",
        field=".spec",
    )


def _same(path: str) -> str:
    """Return an expression that a field is unchanged, which may be absent."""
    here, before = f"self.{path}", f"oldSelf.{path}"
    return f"has({here}) == has({before}) && (!has({here}) || {here} == {before})"


def _unchanged(owner: str, field: str, *parents: str) -> str:
    """Return an expression that a list in the pod template at `owner` is unchanged; `parents` may be absent."""

    def read(root: str) -> str:
        paths = (*(f"{root}.{parent}" for parent in parents), f"{root}.{owner}.spec.{field}")
        return f"({' && '.join(f'has({path})' for path in paths)} ? {root}.{owner}.spec.{field} : [])"

    return f"{read('self')} == {read('oldSelf')}"


def _held_template(path: str, *parents: str) -> Rule:
    """Return the rule for a pod template."""
    trained = " && ".join(_unchanged(path, field, *parents) for field in _TRAINED)
    return Rule(
        f"({_same(path)}) || ({_HELD} && {trained})",
        f"{path}: field is immutable, but for labels, annotations and scheduling while the job is suspended and has no"
        " pods; create a new job",
        field=f".{path}",
    )


HELD_FIELDS = (
    Rule(
        f"self.spec.workers.replicas == oldSelf.spec.workers.replicas || has(oldSelf.spec.elastic) || {_HELD}",
        "spec.workers.replicas: can be changed only in an elastic job, or while the job is suspended and has no pods",
        field=".spec.workers.replicas",
    ),
    _held_template("spec.workers.template"),
    _held_template("spec.launcherTemplate", "spec.launcherTemplate", "spec.launcherTemplate.spec"),
)
"""The rules for what may change while the job is held. They read its status, so that they belong to the whole job."""
