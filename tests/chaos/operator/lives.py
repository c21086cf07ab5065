"""The lives of resources that the campaign disturbs: what happens to each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairlead.kube.kinds import MODEL_DEPLOYMENT, POD, SERVICE, TRAINING_JOB
from fairlead_artifacts import publish

from tests.chaos.operator.elastic_lives import ELASTIC_LIVES
from tests.chaos.operator.end_state import CHILDREN
from tests.chaos.operator.graph_servers import BAD
from tests.chaos.operator.rollout_lives import ROLLOUT_LIVES
from tests.chaos.operator.stage import NAME, Life, Object, Stage, has_phase
from tests.support.resources import MODEL_DEPLOYMENT as DEPLOYMENT_EXAMPLE
from tests.support.resources import TRAINING_JOB as JOB_EXAMPLE
from tests.support.resources import change


def build_job(**policy: Any) -> Object:
    """Return a job that is not restarted, unless its policy says so."""
    return change(JOB_EXAMPLE, spec__runPolicy={"backoffLimit": 0} | policy)


async def _run_job(stage: Stage, **policy: Any) -> None:
    await stage.create(TRAINING_JOB, build_job(**policy))
    await stage.wait(TRAINING_JOB, "finished", has_phase("Succeeded", "Failed"))
    await stage.wait_until("without its Service", lambda: stage.is_without(SERVICE))


async def _suspend(stage: Stage) -> None:
    await stage.create(TRAINING_JOB, build_job())
    await stage.wait(TRAINING_JOB, "Running", has_phase("Running"))
    await stage.patch(TRAINING_JOB, {"runPolicy": {"suspend": True}})
    await stage.wait(TRAINING_JOB, "Suspended", has_phase("Suspended"))
    await stage.wait_until("without pods", lambda: stage.is_without(POD))
    stage.script.released.set()
    await stage.patch(TRAINING_JOB, {"runPolicy": {"suspend": False}})
    await stage.wait(TRAINING_JOB, "Succeeded", has_phase("Succeeded"))
    await stage.wait_until("without its Service", lambda: stage.is_without(SERVICE))


async def _delete(stage: Stage) -> None:
    await stage.create(TRAINING_JOB, build_job())
    await stage.wait(TRAINING_JOB, "Running", has_phase("Running"))
    await stage.kube.delete(TRAINING_JOB, NAME, stage.namespace)
    for kind in CHILDREN:
        await stage.wait_until(f"without a {kind.kind}", lambda kind=kind: stage.is_without(kind))  # type: ignore[misc]


async def _serve(stage: Stage) -> None:
    def ready(generation: int) -> Callable[[Object], bool]:
        def test(deployment: Object) -> bool:
            status = deployment.get("status", {})
            found = [c["status"] for c in status.get("conditions", []) if c["type"] == "Ready"]
            return found == ["True"] and status.get("observedGeneration") == generation

        return test

    one, two = (stage.models / name for name in ("one", "two"))
    graph = {"name": "classifier", "modelUri": one.as_uri()}
    await stage.create(MODEL_DEPLOYMENT, change(DEPLOYMENT_EXAMPLE, spec__predictors__0__graph=graph))
    await stage.wait(MODEL_DEPLOYMENT, "Ready", ready(1))
    predictor = {"name": "main", "graph": graph | {"modelUri": two.as_uri()}}
    await stage.patch(MODEL_DEPLOYMENT, {"predictors": [predictor]})
    await stage.wait(MODEL_DEPLOYMENT, "Ready with another model", ready(2))
    await stage.patch(MODEL_DEPLOYMENT, {"replicas": 2})
    await stage.wait(MODEL_DEPLOYMENT, "Ready with two replicas", ready(3))


async def _expire(stage: Stage) -> None:
    await stage.create(TRAINING_JOB, build_job(ttlSecondsAfterFinished=1))
    await stage.wait_until("deleted", stage.is_gone)
    for kind in CHILDREN:
        await stage.wait_until(f"without a {kind.kind}", lambda kind=kind: stage.is_without(kind))  # type: ignore[misc]


LIVES = (
    Life("succeeds", TRAINING_JOB, _run_job),
    Life("restarts", TRAINING_JOB, lambda stage: _run_job(stage, backoffLimit=2), failures=((0, 1),)),
    Life("fails", TRAINING_JOB, _run_job, failures=((0, 1),)),
    Life("is suspended", TRAINING_JOB, _suspend, held=True),
    Life("is deleted", TRAINING_JOB, _delete, held=True),
    Life("expires", TRAINING_JOB, _expire),
    *ELASTIC_LIVES,
    Life("serves", MODEL_DEPLOYMENT, _serve),
    *ROLLOUT_LIVES,
)


def publish_models(folder: Path) -> None:
    """Publish the models that the lives of deployments name; the operator reads their manifests alone."""
    source = folder / "source"
    source.mkdir(parents=True)
    for name in ("one", "two", "three", BAD):
        (source / "model.onnx").write_text(name)
        publish(source, (folder / name).as_uri(), kind="onnx-model", producer="test/1")
