"""The models reject what the API server rejects; tests/integration uses the same table with a real server."""

import pytest
from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.sweep import Sweep
from fairlead.api.training_job import TrainingJob
from pydantic import ValidationError

from tests.support.rejections import REJECTIONS, Rejection
from tests.support.resources import MODEL_DEPLOYMENT, ROLLOUT, SWEEP, TRAINING_JOB, change

MODELS = {"TrainingJob": TrainingJob, "ModelDeployment": ModelDeployment, "Sweep": Sweep}


@pytest.mark.parametrize("rejection", REJECTIONS, ids=lambda rejection: rejection.reason)
def test_invalid_resource_is_rejected_with_what_was_expected(rejection: Rejection) -> None:
    with pytest.raises(ValidationError) as caught:
        MODELS[rejection.resource["kind"]].model_validate(rejection.resource)
    for word in rejection.words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "resource",
    [TRAINING_JOB, MODEL_DEPLOYMENT, change(MODEL_DEPLOYMENT, spec__rollout=ROLLOUT), SWEEP],
    ids=["job", "deployment", "rollout", "sweep"],
)
def test_valid_resource_survives_a_round_trip(resource: dict[str, object]) -> None:
    model = MODELS[str(resource["kind"])].model_validate(resource)
    assert MODELS[str(resource["kind"])].model_validate(model.model_dump(by_alias=True, exclude_unset=True)) == model
