"""The worked example as a pipeline: validate, train, convert, evaluate, deploy."""

# mypy: disable-error-code="untyped-decorator"

from kfp import dsl

from fairlead_pipelines.components import load_component
from fairlead_pipelines.settings import Outputs, mount_suites, name_pod, prepare_tasks
from fairlead_pipelines.tasks import deploy, require_good_model, require_valid_dataset, train

_validation = load_component("data-validation")
_converter = load_component("onnx-converter")
_evaluation = load_component("evaluation")
_SCALE = 0.0625
"""Pixels are 0 to 16; the network expects 0 to 1."""
_SHAPE = "1,8,8"


@dsl.pipeline(name="digits", description="From a dataset to predictions: validate, train, convert, evaluate, deploy.")
def digits(
    dataset_uri: str,
    dataset_digest: str,
    expectation_suite: str,
    models_uri: str,
    run_name: str = "",
    deployment_name: str = "digits",
    namespace: str = "default",
    trainer_image: str = "fairlead/trainer:0.1.0",
    script_config_map: str = "digits-code",
    script_file: str = "train.py",
    script_arguments: list[str] = [],  # noqa: B006 - KFP reads defaults and shares none
    launcher: str = "Horovod",
    workers: int = 2,
    slots_per_worker: int = 1,
    gpus_per_worker: int = 0,
    cpu_per_worker: str = "500m",
    memory_per_worker: str = "512Mi",
    memory_limit_per_worker: str = "3Gi",
    min_workers: int = 0,
    max_workers: int = 0,
    checkpoint_uri: str = "",
    checkpoint_every_seconds: int = 60,
    training_deadline_seconds: int = 900,
    minimum_accuracy: float = 0.9,
    object_store_secret: str = "artifact-store",
) -> Outputs:
    """Train on a dataset of digits and serve the model with a ModelDeployment.

    Args:
        dataset_uri: The URI of the dataset artifact.
        dataset_digest: The digest that the dataset must have.
        expectation_suite: JSON, an artifact as URI@DIGEST, or a file's name in the ConfigMap expectation-suites.
        models_uri: The URI under which models are published.
        run_name: The name of the TrainingJob, the same of which finds the same job again; empty for the run's own.
        deployment_name: The name of the ModelDeployment; its previous model is replaced.
        namespace: The namespace of the TrainingJob and the ModelDeployment.
        trainer_image: The image of the workers.
        script_config_map: The ConfigMap with the training script.
        script_file: The script's key in that ConfigMap.
        script_arguments: The script's arguments.
        launcher: Horovod or Torchrun.
        workers: The number of worker pods.
        slots_per_worker: The number of training processes of each worker.
        gpus_per_worker: The number of GPUs of each worker.
        cpu_per_worker: The CPU that each worker requests.
        memory_per_worker: The memory that each worker requests.
        memory_limit_per_worker: The memory that each worker may use.
        min_workers: The fewest workers of an elastic job.
        max_workers: The most workers of an elastic job; 0 for a fixed number of workers.
        checkpoint_uri: The URI below which the job publishes checkpoints; empty for none.
        checkpoint_every_seconds: The time between two checkpoints.
        training_deadline_seconds: After how long the TrainingJob fails.
        minimum_accuracy: The accuracy on the held-out images with which the model is deployed.
        object_store_secret: A Secret with the object store's AWS_… variables, in both namespaces; `none` for none.
    """
    # Longer than 40 lines: KFP needs a pipeline's parameters, their descriptions and its tasks in one function.
    dataset = {"dataset_uri": dataset_uri, "dataset_digest": dataset_digest}
    validated = _validation.validate(**dataset, expectation_suite=expectation_suite)
    valid = require_valid_dataset(passed=validated.outputs["passed"], report_uri=validated.outputs["uri"])
    trained = train(
        job_name=run_name, namespace=namespace, trainer_image=trainer_image, script_config_map=script_config_map,
        script_file=script_file, script_arguments=script_arguments, launcher=launcher, workers=workers,
        slots_per_worker=slots_per_worker, gpus_per_worker=gpus_per_worker, cpu_per_worker=cpu_per_worker,
        memory_per_worker=memory_per_worker, memory_limit_per_worker=memory_limit_per_worker,
        min_workers=min_workers, max_workers=max_workers, checkpoint_uri=checkpoint_uri,
        checkpoint_every_seconds=checkpoint_every_seconds, deadline_seconds=training_deadline_seconds,
        models_uri=models_uri, model_name="digits", object_store_secret=object_store_secret,
        kubeflow_run_name=dsl.PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER, kubeflow_run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        **dataset,
    ).after(valid)  # fmt: skip
    converted = _converter.convert(
        model_uri=trained.outputs["uri"], model_digest=trained.outputs["digest"], **dataset,
        models_uri=models_uri, model_name="digits-onnx", version=trained.outputs["version"], scale=_SCALE,
    )  # fmt: skip
    onnx = {"model_uri": converted.outputs["uri"], "model_digest": converted.outputs["digest"]}
    evaluated = _evaluation.evaluate(**onnx, **dataset, minimum=minimum_accuracy)
    good = require_good_model(passed=evaluated.outputs["passed"], report_uri=evaluated.outputs["uri"])
    scaler = _converter.make_scaler(scale=_SCALE, shape=_SHAPE, models_uri=models_uri, model_name="digits-scaler")
    deployed = deploy(
        deployment_name=deployment_name, namespace=namespace, object_store_secret=object_store_secret,
        scaler_uri=scaler.outputs["uri"], scaler_digest=scaler.outputs["digest"],
        classifier_uri=converted.outputs["uri"], classifier_digest=converted.outputs["digest"],
        kubeflow_run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
    ).after(good)  # fmt: skip
    prepare_tasks([validated, converted, evaluated, scaler], [valid, trained, good, deployed], object_store_secret)
    mount_suites(validated)
    name_pod(trained)
    return Outputs(deployed.outputs["Output"], trained.outputs["version"])
