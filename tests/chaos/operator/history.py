"""What must hold at every moment of a deployment with a rollout, by all that was seen of it.

The campaign records each status, each selector of the deployment's Service and each traffic document that a server has
accepted. The end of a life does not show what was wrong in between.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from fairlead.api.rollout import MAX_VERDICTS
from fairlead_contracts.traffic import TrafficDocument

Object = dict[str, Any]


@dataclass
class History:
    """What was seen of one deployment, in order."""

    statuses: list[Object] = field(default_factory=list)
    selectors: list[str | None] = field(default_factory=list)
    """The revisions that the deployment's Service selected; None for the pods of all."""

    def find_problem(self, documents: list[TrafficDocument]) -> str:
        """Return the first thing that must not have happened; empty if there is none."""
        checks = (
            _check_failed(self.statuses),
            _check_verdicts(self.statuses),
            _check_selectors(self.statuses, self.selectors),
            _check_documents(self.statuses, documents),
        )
        return next((problem for check in checks for problem in check), "")


def _check_failed(statuses: list[Object]) -> Iterator[str]:
    """A revision that was rolled back gets no requests again."""
    failed: set[str] = set()
    for status in statuses:
        for role in ("stableRevision", "candidateRevision"):
            if (revision := status.get(role)) in failed:
                yield f"revision {revision} was rolled back and is the {role} again"
        failed |= {status.get("rollout", {}).get("failedRevision")} - {None}


def _check_verdicts(statuses: list[Object]) -> Iterator[str]:
    """A verdict about a candidate is neither changed nor taken back."""
    for before, after in pairwise(statuses):
        candidate = before.get("candidateRevision")
        if candidate is None or after.get("candidateRevision") != candidate:
            continue
        earlier, later = (status["rollout"].get("verdicts", []) for status in (before, after))
        new = next((new for new in range(len(later) + 1) if _continues(earlier, later, new)), None)
        if new is None:
            yield f"the verdicts about revision {candidate} were {earlier}, then {later}"
        if after["rollout"].get("failures", 0) < before["rollout"].get("failures", 0):
            yield f"a failed verdict about revision {candidate} was taken back"


def _continues(earlier: list[Object], later: list[Object], new: int) -> bool:
    """Return whether later verdicts are earlier ones and so many new ones, of which the last few are kept."""
    kept = later[: len(later) - new]
    return kept == (earlier[-len(kept) :] if kept else []) and (len(kept) == len(earlier) or len(later) == MAX_VERDICTS)


def _check_selectors(statuses: list[Object], selectors: list[str | None]) -> Iterator[str]:
    """The Service selects one stable revision at a time, and never goes back to an earlier one."""
    moves = [revision for index, revision in enumerate(selectors) if not index or selectors[index - 1] != revision]
    stable = {status.get("stableRevision") for status in statuses} - {None}
    for index, revision in enumerate(moves):
        if revision is not None and revision not in stable:
            yield f"the Service selected revision {revision}, which was not the stable one"
        if revision in moves[:index] and revision is not None:
            yield f"the Service selected revision {revision} again"
        if revision is None and 0 < index < len(moves) - 1:
            yield "the Service selected the pods of all revisions during the rollout"


def _check_documents(statuses: list[Object], documents: list[TrafficDocument]) -> Iterator[str]:
    """Servers do what a status of the same generation says."""
    stored: dict[tuple[str | None, int], list[Object]] = {}
    for status in statuses:
        rollout = status.get("rollout", {})
        stored.setdefault((status.get("stableRevision"), rollout.get("generation", 0)), []).append(status)
    for document in documents:
        routes = [(route.name, route.percent, route.mirror_percent) for route in document.routes]
        expected = map(_expect_routes, stored.get((document.revision, document.generation), ()))
        if routes not in expected:
            what = f"{routes} of generation {document.generation}"
            yield f"a server of revision {document.revision} accepted {what}, which no status says"


def _expect_routes(status: Object) -> list[tuple[str, float, float]]:
    rollout, candidate = status.get("rollout", {}), status.get("candidateRevision")
    if candidate is None or not rollout.get("address"):
        return []
    return [(candidate, rollout.get("weight", 0), rollout.get("mirror", 0))]
