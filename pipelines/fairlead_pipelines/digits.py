"""The worked example as a pipeline: validate, train, convert, evaluate, deploy."""

# mypy: disable-error-code="untyped-decorator"

from kfp import dsl

from fairlead_pipelines.components import load_component
from fairlead_pipelines.settings import Outputs, prepare_tasks
from fairlead_pipelines.tasks import deploy, train

_validation = load_component("data-validation")
_converter = load_component("onnx-converter")
_evaluation = load_component("evaluation")
_SCALE = 0.0625
"""Pixels are 0 to 16; the network expects 0 to 1."""
_SHAPE = "1,8,8"


@dsl.pipeline(name="digits", description="From a dataset to predictions: validate, train, convert, evaluate, deploy.")
def digits(
    run: str,
    dataset_uri: str,
    dataset_digest: str,
    suite: str,
    models_uri: str,
    deployment: str = "digits",
    namespace: str = "default",
    image: str = "fairlead/trainer:0.1.0",
    code: str = "digits-code",
    script: str = "train.py",
    arguments: list[str] = [],  # noqa: B006 - KFP reads defaults and shares none
    workers: int = 2,
    minimum_accuracy: float = 0.9,
    store_secret: str = "artifact-store",
) -> Outputs:
    """Train on a dataset of digits and serve the model with a ModelDeployment.

    Args:
        run: The name of the run and of its TrainingJob; the same name finds the same job again.
        dataset_uri: The URI of the dataset artifact.
        dataset_digest: The digest that the dataset must have.
        suite: The expectation suite, as JSON or as a path in the validation image.
        models_uri: The URI under which models are published.
        deployment: The name of the ModelDeployment; its previous model is replaced.
        namespace: The namespace of the TrainingJob and the ModelDeployment.
        image: The trainer's image.
        code: The ConfigMap with the training script.
        script: The script's key in that ConfigMap.
        arguments: The script's arguments.
        workers: The number of worker pods.
        minimum_accuracy: The accuracy on the held-out images with which the model is deployed.
        store_secret: A Secret with the object store's AWS_… variables.
    """
    # Longer than 40 lines: KFP needs a pipeline's parameters, their descriptions and its tasks in one function.
    validated = _validation.validate(dataset_uri=dataset_uri, dataset_digest=dataset_digest, suite=suite)
    trained = train(
        name=run, namespace=namespace, image=image, code=code, script=script, arguments=arguments, workers=workers,
        dataset_uri=dataset_uri, dataset_digest=dataset_digest, model_uri=f"{models_uri}/digits",
        store_secret=store_secret,
    ).after(validated)  # fmt: skip
    converted = _converter.convert(
        model_uri=trained.outputs["uri"], model_digest=trained.outputs["digest"],
        dataset_uri=dataset_uri, dataset_digest=dataset_digest,
        out_uri=f"{models_uri}/digits-onnx/{trained.outputs['version']}", scale=_SCALE,
    )  # fmt: skip
    evaluated = _evaluation.evaluate(
        model_uri=converted.outputs["uri"], model_digest=converted.outputs["digest"],
        dataset_uri=dataset_uri, dataset_digest=dataset_digest, minimum=minimum_accuracy,
    )  # fmt: skip
    scaler = _converter.make_scaler(scale=_SCALE, shape=_SHAPE, out_uri=f"{models_uri}/digits-scaler/v1")
    deployed = deploy(
        name=deployment, namespace=namespace, store_secret=store_secret,
        scaler_uri=scaler.outputs["uri"], scaler_digest=scaler.outputs["digest"],
        classifier_uri=converted.outputs["uri"], classifier_digest=converted.outputs["digest"],
    ).after(evaluated)  # fmt: skip
    prepare_tasks([validated, converted, evaluated, scaler], [trained, deployed], store_secret)
    return Outputs(deployed.output, trained.outputs["version"])
