"""The tabular example as a pipeline: join features, validate, train, convert, evaluate, materialize, deploy."""

# mypy: disable-error-code="untyped-decorator"

from kfp import dsl, kubernetes

from fairlead_pipelines.components import load_component
from fairlead_pipelines.settings import Outputs, prepare_tasks
from fairlead_pipelines.tasks import deploy, train

_features = load_component("feature-store")
_validation = load_component("data-validation")
_converter = load_component("onnx-converter")
_evaluation = load_component("evaluation")
_FEATURE_SET = "delays"
_MOUNT_PATH = "/etc/fairlead/feature-store"
"""Where fairlead-feature-store looks for the store's file."""


@dsl.pipeline(name="flights", description="From histories of features to predictions by keys alone.")
def flights(
    run: str,
    definitions_uri: str,
    definitions_digest: str,
    rows_uri: str,
    rows_digest: str,
    sources: dict[str, str],
    known_until: str,
    suite: str,
    datasets_uri: str,
    models_uri: str,
    replay: bool = False,
    deployment: str = "flights",
    namespace: str = "default",
    image: str = "fairlead/trainer:0.1.0",
    code: str = "flights-code",
    script: str = "train.py",
    arguments: list[str] = [],  # noqa: B006 - KFP reads defaults and shares none
    workers: int = 2,
    minimum_auc: float = 0.65,
    store_secret: str = "artifact-store",
    feature_store_secret: str = "feature-store",
) -> Outputs:
    """Train on features as they were known at the time, and serve the model behind a look-up of the same features.

    Args:
        run: The name of the run, of its TrainingJob and of its dataset; the same name finds the same job again.
        definitions_uri: The URI of the artifact with the definitions of the features.
        definitions_digest: The digest that the definitions must have.
        rows_uri: The URI of the entity rows: keys, times, labels and splits.
        rows_digest: The digest that the rows must have.
        sources: The artifacts of the histories, as URI@DIGEST, by the names in the definitions.
        known_until: The time (ISO 8601, with its zone) whose features are written to the online store.
        suite: The expectation suite for the joined dataset, as JSON or as a path in the validation image.
        datasets_uri: The URI under which joined datasets are published.
        models_uri: The URI under which models are published.
        replay: Whether the look-up takes `known_until` for the present, as histories of the past need it.
        deployment: The name of the ModelDeployment; its previous model is replaced.
        namespace: The namespace of the TrainingJob and the ModelDeployment.
        image: The trainer's image.
        code: The ConfigMap with the training script.
        script: The script's key in that ConfigMap.
        arguments: The script's arguments.
        workers: The number of worker pods.
        minimum_auc: The area under the ROC curve on the eval split with which the model is deployed.
        store_secret: A Secret with the object store's AWS_… variables.
        feature_store_secret: A Secret whose key feature_store.yaml says where registry and online store are.
    """
    # Longer than 40 lines: KFP needs a pipeline's parameters, their descriptions and its tasks in one function.
    joined = _features.join_features(
        definitions_uri=definitions_uri, definitions_digest=definitions_digest, feature_set=_FEATURE_SET,
        rows_uri=rows_uri, rows_digest=rows_digest, sources=sources, out_uri=f"{datasets_uri}/flights/{run}",
        drop_missing=True,
    )  # fmt: skip
    dataset = {"dataset_uri": joined.outputs["uri"], "dataset_digest": joined.outputs["digest"]}
    validated = _validation.validate(**dataset, suite=suite)
    trained = train(
        name=run, namespace=namespace, image=image, code=code, script=script, arguments=arguments, workers=workers,
        model_uri=f"{models_uri}/flights", store_secret=store_secret, **dataset,
    ).after(validated)  # fmt: skip
    converted = _converter.convert(
        model_uri=trained.outputs["uri"], model_digest=trained.outputs["digest"], **dataset,
        out_uri=f"{models_uri}/flights-onnx/{trained.outputs['version']}", min_accuracy=0.5,
    )  # fmt: skip
    evaluated = _evaluation.evaluate(
        model_uri=converted.outputs["uri"], model_digest=converted.outputs["digest"], **dataset,
        metric="roc_auc_ovr", minimum=minimum_auc, slices=["origin"],
    )  # fmt: skip
    written = _features.materialize_features(
        definitions_uri=definitions_uri, definitions_digest=definitions_digest, sources=sources, until=known_until,
        replay=replay,
    ).after(evaluated)  # fmt: skip
    deployed = deploy(
        name=deployment, namespace=namespace, store_secret=store_secret,
        classifier_uri=converted.outputs["uri"], classifier_digest=converted.outputs["digest"],
        features_uri=definitions_uri, features_digest=definitions_digest, feature_set=_FEATURE_SET,
        feature_store_secret=feature_store_secret, now=written.outputs["replayed"],
    ).after(evaluated)  # fmt: skip
    prepare_tasks([joined, validated, converted, evaluated, written], [trained, deployed], store_secret)
    kubernetes.use_secret_as_volume(written, feature_store_secret, _MOUNT_PATH)
    return Outputs(deployed.output, trained.outputs["version"])
