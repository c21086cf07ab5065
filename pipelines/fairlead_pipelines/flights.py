"""The tabular example as a pipeline: join features, validate, train, convert, evaluate, materialize, deploy."""

# mypy: disable-error-code="untyped-decorator"

from kfp import dsl, kubernetes

from fairlead_pipelines.components import load_component
from fairlead_pipelines.settings import Outputs, mount_suites, name_pod, prepare_tasks
from fairlead_pipelines.tasks import deploy, require_good_model, require_valid_dataset, train

_features = load_component("feature-store")
_validation = load_component("data-validation")
_converter = load_component("onnx-converter")
_evaluation = load_component("evaluation")
_FEATURE_SET = "delays"
_MOUNT_PATH = "/etc/fairlead/feature-store"
"""Where fairlead-feature-store looks for the store's file."""


@dsl.pipeline(name="flights", description="From histories of features to predictions by keys alone.")
def flights(
    definitions_uri: str,
    definitions_digest: str,
    rows_uri: str,
    rows_digest: str,
    sources: dict[str, str],
    known_until: str,
    expectation_suite: str,
    datasets_uri: str,
    models_uri: str,
    run_name: str = "",
    replay: bool = False,
    deployment_name: str = "flights",
    namespace: str = "default",
    trainer_image: str = "fairlead/trainer:0.1.0",
    script_config_map: str = "flights-code",
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
    minimum_auc: float = 0.65,
    object_store_secret: str = "artifact-store",
    feature_store_secret: str = "feature-store",
    features_image: str = "fairlead/feature-store:0.1.0",
) -> Outputs:
    """Train on features as they were known at the time, and serve the model behind a look-up of the same features.

    Args:
        definitions_uri: The URI of the artifact with the definitions of the features.
        definitions_digest: The digest that the definitions must have.
        rows_uri: The URI of the entity rows: keys, times, labels and splits.
        rows_digest: The digest that the rows must have.
        sources: The artifacts of the histories, as URI@DIGEST, by the names in the definitions.
        known_until: The time (ISO 8601, with its zone) whose features are written to the online store.
        expectation_suite: For the joined dataset: JSON, an artifact as URI@DIGEST, or a file's name in the ConfigMap
            expectation-suites.
        datasets_uri: The URI under which joined datasets are published.
        models_uri: The URI under which models are published.
        run_name: The name of the TrainingJob and the version of the dataset, the same of which finds the same job
            again; empty for the run's own.
        replay: Whether the look-up takes `known_until` for the present, as histories of the past need it.
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
        minimum_auc: The area under the ROC curve on the eval split with which the model is deployed.
        object_store_secret: A Secret with the object store's AWS_… variables, in both namespaces; `none` for none.
        feature_store_secret: A Secret whose key feature_store.yaml says where registry and online store are.
        features_image: The image that looks features up.
    """
    # Longer than 40 lines: KFP needs a pipeline's parameters, their descriptions and its tasks in one function.
    definitions = {"definitions_uri": definitions_uri, "definitions_digest": definitions_digest}
    joined = _features.join_features(
        **definitions, feature_set=_FEATURE_SET, rows_uri=rows_uri, rows_digest=rows_digest, sources=sources,
        datasets_uri=datasets_uri, dataset_name="flights", version=run_name,
        kubeflow_run_name=dsl.PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER, drop_missing=True,
    )  # fmt: skip
    dataset = {"dataset_uri": joined.outputs["uri"], "dataset_digest": joined.outputs["digest"]}
    validated = _validation.validate(**dataset, expectation_suite=expectation_suite)
    valid = require_valid_dataset(passed=validated.outputs["passed"], report_uri=validated.outputs["uri"])
    trained = train(
        job_name=run_name, namespace=namespace, trainer_image=trainer_image, script_config_map=script_config_map,
        script_file=script_file, script_arguments=script_arguments, launcher=launcher, workers=workers,
        slots_per_worker=slots_per_worker, gpus_per_worker=gpus_per_worker, cpu_per_worker=cpu_per_worker,
        memory_per_worker=memory_per_worker, memory_limit_per_worker=memory_limit_per_worker,
        min_workers=min_workers, max_workers=max_workers, checkpoint_uri=checkpoint_uri,
        checkpoint_every_seconds=checkpoint_every_seconds, deadline_seconds=training_deadline_seconds,
        models_uri=models_uri, model_name="flights", object_store_secret=object_store_secret,
        kubeflow_run_name=dsl.PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER, kubeflow_run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        **dataset,
    ).after(valid)  # fmt: skip
    converted = _converter.convert(
        model_uri=trained.outputs["uri"], model_digest=trained.outputs["digest"], **dataset,
        models_uri=models_uri, model_name="flights-onnx", version=trained.outputs["version"], min_accuracy=0.5,
    )  # fmt: skip
    onnx = {"model_uri": converted.outputs["uri"], "model_digest": converted.outputs["digest"]}
    evaluated = _evaluation.evaluate(**onnx, **dataset, metric="roc_auc_ovr", minimum=minimum_auc, slices=["origin"])
    good = require_good_model(passed=evaluated.outputs["passed"], report_uri=evaluated.outputs["uri"])
    written = _features.materialize_features(**definitions, sources=sources, until=known_until, replay=replay)
    written.after(good)
    deployed = deploy(
        deployment_name=deployment_name, namespace=namespace, object_store_secret=object_store_secret,
        classifier_uri=converted.outputs["uri"], classifier_digest=converted.outputs["digest"],
        features_uri=definitions_uri, features_digest=definitions_digest, feature_set=_FEATURE_SET,
        feature_store_secret=feature_store_secret, features_image=features_image,
        features_time=written.outputs["replayed"], kubeflow_run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
    ).after(good)  # fmt: skip
    artifacts = [joined, validated, converted, evaluated, written]
    prepare_tasks(artifacts, [valid, trained, good, deployed], object_store_secret)
    mount_suites(validated)
    name_pod(trained)
    kubernetes.use_secret_as_volume(written, feature_store_secret, _MOUNT_PATH)
    return Outputs(deployed.outputs["Output"], trained.outputs["version"])
