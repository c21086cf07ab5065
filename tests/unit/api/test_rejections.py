"""The models refuse what the API server refuses; tests/integration holds the same table against a real one."""

import pytest
from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.training_job import TrainingJob
from pydantic import ValidationError

from tests.support.rejections import REJECTIONS, Rejection
from tests.support.resources import MODEL_DEPLOYMENT, TRAINING_JOB

MODELS = {"TrainingJob": TrainingJob, "ModelDeployment": ModelDeployment}


@pytest.mark.parametrize("rejection", REJECTIONS, ids=lambda rejection: rejection.reason)
def test_bad_resource_is_refused_with_what_was_expected(rejection: Rejection) -> None:
    with pytest.raises(ValidationError) as caught:
        MODELS[rejection.resource["kind"]].model_validate(rejection.resource)
    for word in rejection.words:
        assert word in str(caught.value)


@pytest.mark.parametrize("resource", [TRAINING_JOB, MODEL_DEPLOYMENT], ids=lambda resource: resource["kind"])
def test_good_resource_survives_a_round_trip(resource: dict[str, object]) -> None:
    model = MODELS[str(resource["kind"])].model_validate(resource)
    assert MODELS[str(resource["kind"])].model_validate(model.model_dump(by_alias=True, exclude_unset=True)) == model
