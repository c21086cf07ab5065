"""The steps' resources; the steps themselves run against a real cluster in tests/local."""

from dataclasses import replace

import pytest
import yaml
from fairlead.api.training_job import TrainingJob
from fairlead_pipelines.components import CHECKOUT
from fairlead_pipelines.main import main
from fairlead_pipelines.steps.deployment import Deployment, Features, Model, build_model_deployment
from fairlead_pipelines.steps.training_job import Training, Workers, build_training_job

EXAMPLE = CHECKOUT / "examples" / "digits"
DIGEST = f"sha256:{'0' * 64}"


TRAINING = Training(
    name="digits",
    image="fairlead/trainer:0.1.0",
    code="digits-code",
    script="train.py",
    arguments=(),
    dataset_uri="s3://datasets/digits/v1",
    dataset_digest=DIGEST,
    model_uri="s3://models/digits",
    store_secret="artifact-store",
    seconds=900,
)


def test_training_job_is_the_examples_with_a_required_secret() -> None:
    example = yaml.safe_load((EXAMPLE / "training-job.yaml").read_text())
    (trainer,) = example["spec"]["workers"]["template"]["spec"]["containers"]
    del trainer["envFrom"][0]["secretRef"]["optional"]
    assert build_training_job(TRAINING) == example


def test_artifacts_in_files_need_no_secret() -> None:
    training = replace(TRAINING, dataset_uri="file:///data", model_uri="file:///models")
    (trainer,) = build_training_job(training)["spec"]["workers"]["template"]["spec"]["containers"]
    assert trainer["envFrom"] == [{"secretRef": {"name": "artifact-store", "optional": True}}]
    none = build_training_job(replace(TRAINING, store_secret=""))
    assert "envFrom" not in none["spec"]["workers"]["template"]["spec"]["containers"][0]


def test_every_setting_of_a_training_reaches_its_job() -> None:
    workers = Workers(
        replicas=4, slots=2, gpus=2, cpu="8", memory="32Gi", memory_limit="64Gi", minimum=2, maximum=8
    )  # fmt: skip
    training = replace(
        TRAINING, launcher="Torchrun", workers=workers, checkpoint_uri="s3://checkpoints/digits", seconds=86400
    )
    spec = TrainingJob.model_validate(build_training_job(training)).spec
    assert (spec.launcher, spec.workers.replicas, spec.workers.slots) == ("Torchrun", 4, 2)
    assert spec.elastic is not None
    assert (spec.elastic.min_replicas, spec.elastic.max_replicas) == (2, 8)
    assert spec.checkpoint is not None
    assert (spec.checkpoint.uri, spec.checkpoint.every_seconds) == ("s3://checkpoints/digits", 60)
    assert spec.run_policy.active_deadline_seconds == 86400
    (trainer,) = build_training_job(training)["spec"]["workers"]["template"]["spec"]["containers"]
    assert trainer["resources"] == {
        "requests": {"cpu": "8", "memory": "32Gi"},
        "limits": {"memory": "64Gi", "nvidia.com/gpu": 2},
    }


def test_model_deployment_is_the_examples_with_digests() -> None:
    (expected,) = yaml.safe_load_all((EXAMPLE / "model-deployment.yaml").read_text())
    scaler = expected["spec"]["predictors"][0]["graph"]
    scaler["digest"] = f"sha256:{'1' * 64}"
    scaler["children"][0]["digest"] = f"sha256:{'2' * 64}"
    deployment = Deployment(
        name="digits",
        before=Model("s3://models/digits-scaler/v1", scaler["digest"]),
        classifier=Model("s3://models/digits-onnx/v1", scaler["children"][0]["digest"]),
        replicas=1,
        store_secret="artifact-store",
        seconds=900,
    )
    assert build_model_deployment(deployment) == expected


def test_a_deployment_with_features_is_the_examples_with_digests() -> None:
    (expected,) = yaml.safe_load_all((CHECKOUT / "examples" / "flights" / "model-deployment.yaml").read_text())
    predictor = expected["spec"]["predictors"][0]
    predictor["graph"]["children"][0]["digest"] = f"sha256:{'2' * 64}"
    deployment = Deployment(
        name="flights",
        before=Features(Model("s3://datasets/flights/definitions", DIGEST), "delays", "feature-store", ""),
        classifier=Model("s3://models/flights-onnx/v1", predictor["graph"]["children"][0]["digest"]),
        replicas=1,
        store_secret="artifact-store",
        seconds=900,
    )
    assert build_model_deployment(deployment) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--scaler", "s3://models/scaler"], "--scaler-digest: got none, expected a value next to --scaler"),
        (["--scaler", "s3://models/scaler", "--scaler-digest", ""], "--scaler-digest: got none"),
        (["--features", "s3://x", "--feature-set", "delays"], "--features-digest: got none, expected a value next to"),
        (["--features", "s3://x", "--features-digest", DIGEST], "--feature-set: got none, expected a value next to"),
    ],
)
def test_what_is_before_the_classifier_is_pinned(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    classifier = ["--classifier", "s3://models/x", "--classifier-digest", DIGEST]
    assert main(["deploy", "--name", "x", *classifier, *words]) == 1
    assert f"fairlead-pipelines: {message}" in capsys.readouterr().err
