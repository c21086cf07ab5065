"""The lives of deployments with a rollout: how a candidate comes, and all ways in which it goes."""

from typing import Any

from fairlead.core import names
from fairlead.kube.kinds import CONFIG_MAP, DEPLOYMENT, MODEL_DEPLOYMENT, SERVICE, Kind

from tests.chaos.operator.end_state import CHILDREN
from tests.chaos.operator.graph_servers import BAD
from tests.chaos.operator.stage import Life, Object, Stage
from tests.support.resources import MODEL_DEPLOYMENT as EXAMPLE
from tests.support.resources import change

_REPLICAS = 2
_LONG = 3600
"""Seconds of a step that only a command or an edit ends."""
_ANALYSIS = {
    "intervalSeconds": 1, "minRequests": 20, "failureLimit": 0, "maxErrorRate": 0.2, "minAgreement": 0.8,
    "mirrorPercent": 20,
}  # fmt: skip


def build_policy(seconds: int = 0) -> Object:
    """Return spec.rollout with two steps, of which the first lasts for some seconds."""
    steps = [{"traffic": 20, "seconds": seconds}, {"traffic": 50, "seconds": 0}]
    return {"steps": steps, "analysis": _ANALYSIS, "progressDeadlineSeconds": 600}


async def start(stage: Stage) -> None:
    """Create a deployment with a rollout, and wait until its first revision serves."""
    spec = {"spec__rollout": build_policy(), "spec__replicas": _REPLICAS}
    await stage.create(MODEL_DEPLOYMENT, change(EXAMPLE, spec__predictors=_predictors(stage, "one"), **spec))
    await _settle(stage, "serving", lambda status: "stableRevision" in status and _is_ready(status, "True"))


async def start_candidate(stage: Stage) -> str:
    """Start a deployment and then a candidate that stays at its first step; return its revision."""
    await start(stage)
    await _change_model(stage, "two", _LONG)
    return await _measure(stage)


async def command(stage: Stage, word: str, revision: str) -> None:
    """Give a command about a revision, as `fairlead rollout` does."""
    await stage.annotate(MODEL_DEPLOYMENT, names.ROLLOUT_COMMAND, f"{word} {revision} token-{word}")


async def finish(stage: Stage, phase: str) -> None:
    """Wait until a rollout has ended in a phase, and nothing is left of the other revision."""
    ready = "True" if phase == "Promoted" else "False"
    await _settle(
        stage, phase, lambda status: status["rollout"].get("phase") == phase and _is_ready(status, ready)
    )  # fmt: skip


async def _measure(stage: Stage) -> str:
    """Wait until the candidate has requests, and return its revision."""
    await stage.wait(MODEL_DEPLOYMENT, "measured", lambda found: _rollout(found).get("phase") == "Measuring")
    return str((await stage.read(MODEL_DEPLOYMENT))["status"]["candidateRevision"])


async def _change_model(stage: Stage, name: str, seconds: int = 0) -> None:
    await stage.patch(
        MODEL_DEPLOYMENT, {"predictors": _predictors(stage, name), "rollout": build_policy(seconds)}
    )  # fmt: skip


async def _release(stage: Stage, model: str, phase: str) -> None:
    """A changed model becomes the candidate, and its rollout ends in a phase."""
    await start(stage)
    stage.arm()
    await _change_model(stage, model)
    await finish(stage, phase)


async def _command(stage: Stage, word: str, phase: str) -> None:
    candidate = await start_candidate(stage)
    stage.arm()
    await command(stage, word, candidate)
    await finish(stage, phase)


async def _edit_again(stage: Stage) -> None:
    await start_candidate(stage)
    stage.arm()
    await _change_model(stage, "three")
    await finish(stage, "Promoted")


async def _delete(stage: Stage) -> None:
    await start(stage)
    stage.arm()
    await _change_model(stage, "two", _LONG)
    await _measure(stage)
    await stage.kube.delete(MODEL_DEPLOYMENT, EXAMPLE["metadata"]["name"], stage.namespace)
    for kind in CHILDREN:
        await stage.wait_until(f"without a {kind.kind}", lambda kind=kind: stage.is_without(kind))  # type: ignore[misc]


async def _leave(stage: Stage) -> None:
    """spec.rollout is removed in mid-rollout."""
    await start_candidate(stage)
    stage.arm()
    await stage.patch(MODEL_DEPLOYMENT, {"rollout": None})

    def left(found: Object) -> bool:
        return _is_current(found) and "stableRevision" not in found["status"] and _is_ready(found["status"], "True")

    await stage.wait(MODEL_DEPLOYMENT, "without revisions", left)
    await stage.wait_until("of one Deployment", lambda: _has(stage, {DEPLOYMENT: 1, SERVICE: 1}))


async def _settle(stage: Stage, what: str, test: Any) -> None:
    """Wait until a test of the status holds, all servers do what it says, and one revision is left."""

    def settled(found: Object) -> bool:
        status, rollout = found.get("status", {}), _rollout(found)
        in_force = rollout.get("confirmed") == rollout.get("servers") == _REPLICAS
        return _is_current(found) and "candidateRevision" not in status and bool(test(status)) and in_force

    await stage.wait(MODEL_DEPLOYMENT, what, settled)
    await stage.wait_until(f"{what} with one revision", lambda: _has(stage, {DEPLOYMENT: 1, SERVICE: 2, CONFIG_MAP: 2}))


async def _has(stage: Stage, counts: dict[Kind, int]) -> bool:
    """Return whether there are as many children: an operator may end between the deletions of a revision's."""
    return all([len(await stage.children(kind)) == count for kind, count in counts.items()])


def _predictors(stage: Stage, model: str) -> list[Object]:
    graph = {"name": "classifier", "modelUri": (stage.models / model).as_uri()}
    return [{"name": "main", "graph": graph}]


def _rollout(found: Object) -> Object:
    return dict(found.get("status", {}).get("rollout") or {})


def _is_current(found: Object) -> bool:
    return bool(found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"])


def _is_ready(status: Object, expected: str) -> bool:
    return [item["status"] for item in status.get("conditions", []) if item["type"] == "Ready"] == [expected]


ROLLOUT_LIVES = (
    Life("starts", MODEL_DEPLOYMENT, start),
    Life("is promoted", MODEL_DEPLOYMENT, lambda stage: _release(stage, "two", "Promoted"), prepares=True),
    Life("is rolled back", MODEL_DEPLOYMENT, lambda stage: _release(stage, BAD, "RolledBack"), prepares=True),
    Life("is aborted", MODEL_DEPLOYMENT, lambda stage: _command(stage, "abort", "RolledBack"), prepares=True),
    Life("is promoted by command", MODEL_DEPLOYMENT, lambda stage: _command(stage, "promote", "Promoted"),
         prepares=True),
    Life("is edited again", MODEL_DEPLOYMENT, _edit_again, prepares=True),
    Life("is deleted in mid-rollout", MODEL_DEPLOYMENT, _delete, prepares=True),
    Life("leaves its rollout", MODEL_DEPLOYMENT, _leave, prepares=True),
)  # fmt: skip
