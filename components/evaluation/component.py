"""The KFP components of this folder's command."""

# KFP is untyped, and reads outputs from a NamedTuple in the annotation itself.
# mypy: disable-error-code="untyped-decorator,valid-type"

from typing import NamedTuple

from kfp import dsl

IMAGE = "fairlead/evaluation:0.1.0"


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def evaluate(
    model_uri: str,
    model_digest: str,
    dataset_uri: str,
    dataset_digest: str,
    minimum: float,
    model: dsl.Output[dsl.Model],
    card: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    classification: dsl.Output[dsl.ClassificationMetrics],
    metric: str = "accuracy",
    split: str = "eval",
    slices: list[str] = [],  # noqa: B006 - KFP reads defaults and shares none
    max_gap: float = -1.0,
    min_examples: int = 30,
) -> NamedTuple("Outputs", [("uri", str), ("digest", str), ("passed", bool)]):
    """Measure an ONNX model and publish its model card.

    Succeeds if the model is good enough or not: Kubeflow Pipelines drops the outputs of a task that fails, also the
    card. The step after it has to fail unless `passed`.

    Args:
        model_uri: The URI of the onnx-model artifact.
        model_digest: The digest that the model must have.
        dataset_uri: The URI of the dataset artifact.
        dataset_digest: The digest that the dataset must have.
        minimum: The least value of the metric with which the model is good enough.
        model: The model that was measured.
        card: The model card.
        metrics: All metrics that the model's outputs define.
        classification: The confusion matrix; with two classes, the ROC curve, too.
        metric: The metric that is compared with the minimum.
        split: The split to measure on.
        slices: Arrays of the split that name slices.
        max_gap: How far slices by the same array may be apart; negative for any.
        min_examples: The fewest examples of the split, and of slices that count.

    Returns:
        The URI and the digest of the model card, and whether the model is good enough.
    """
    import json
    import subprocess
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.json")
        command = ["fairlead-evaluation", "--model", model_uri, "--digest", model_digest, "--out", str(out)]
        command += ["--dataset", dataset_uri, "--dataset-digest", dataset_digest, "--split", split]
        command += ["--metric", metric, "--minimum", str(minimum), "--min-examples", str(min_examples)]
        command += [f"--slice={name}" for name in slices] + [f"--max-gap={max_gap}"] * (max_gap >= 0)
        command += ["--html", card.path]
        exit_code = subprocess.run(command).returncode
        if exit_code not in (0, 2):
            raise SystemExit(f"fairlead-evaluation exited with {exit_code}; its message is above")
        result = json.loads(out.read_text())
    place = {"uri": model_uri, "digest": model_digest}
    Path(model.path).write_text(json.dumps(place))
    model.metadata.update(place, passed=result["success"])
    card.metadata.update(uri=result["uri"], digest=result["digest"])
    for name, value in result["metrics"].items():
        metrics.log_metric(name, value)
    if result["classes"]:
        classification.log_confusion_matrix(result["classes"], result["confusion"])
    if result["roc"]:
        classification.log_roc_curve(*result["roc"])
    return (result["uri"], result["digest"], result["success"])


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def predict(
    model_uri: str,
    model_digest: str,
    dataset_uri: str,
    dataset_digest: str,
    predictions_uri: str,
    predictions: dsl.Output[dsl.Dataset],
    split: str = "eval",
) -> NamedTuple("Outputs", [("uri", str), ("digest", str)]):
    """Publish what an ONNX model answers for each example of a split, as a dataset whose parents are both.

    Args:
        model_uri: The URI of the onnx-model artifact.
        model_digest: The digest that the model must have.
        dataset_uri: The URI of the dataset artifact.
        dataset_digest: The digest that the dataset must have.
        predictions_uri: Where to publish the predictions: s3://bucket/path.
        predictions: The predictions that were published.
        split: The split to predict for.

    Returns:
        The URI and the digest of the predictions.
    """
    import json
    import subprocess
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.json")
        command = ["fairlead-evaluation", "predict", "--model", model_uri, "--digest", model_digest, "--split", split]
        command += ["--dataset", dataset_uri, "--dataset-digest", dataset_digest]
        exit_code = subprocess.run([*command, "--out-uri", predictions_uri, "--out", str(out)]).returncode
        if exit_code:
            raise SystemExit(f"fairlead-evaluation predict exited with {exit_code}; its message is above")
        result = json.loads(out.read_text())
    place = {"uri": result["uri"], "digest": result["digest"]}
    Path(predictions.path).write_text(json.dumps(place))
    predictions.metadata.update(place, rows=result["rows"], model=f"{model_uri}@{model_digest}")
    return (result["uri"], result["digest"])
