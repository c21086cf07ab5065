"""The KFP components of this folder's command."""

# KFP is untyped, and reads outputs from a NamedTuple in the annotation itself.
# mypy: disable-error-code="untyped-decorator,valid-type"

from typing import NamedTuple

from kfp import dsl

IMAGE = "fairlead/onnx-converter:0.1.0"


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def convert(
    model_uri: str,
    model_digest: str,
    dataset_uri: str,
    dataset_digest: str,
    models_uri: str,
    model_name: str,
    version: str,
    model: dsl.Output[dsl.Model],
    parity_metrics: dsl.Output[dsl.Metrics],
    scale: float = 1.0,
    min_accuracy: float = 0.95,
    min_examples: int = 30,
    max_different: int = 0,
    opset: int = 0,
    parity: bool = True,
) -> NamedTuple("Outputs", [("uri", str), ("digest", str)]):
    """Convert a model to ONNX; fail unless both agree on the dataset's eval split.

    Args:
        model_uri: The URI of the model artifact.
        model_digest: The digest that the model must have.
        dataset_uri: The URI of the dataset artifact.
        dataset_digest: The digest that the dataset must have.
        models_uri: The URI below which models are published: as MODELS_URI/MODEL_NAME/VERSION.
        model_name: The name under which the converted model is published.
        version: The version under which the converted model is published.
        model: The converted model.
        parity_metrics: How much the two models differ.
        scale: What the examples are multiplied by before the model gets them.
        min_accuracy: The least accuracy of the converted model; 0 for models that are not classifiers.
        min_examples: The fewest examples that are compared.
        max_different: How many examples may differ.
        opset: The opset of the ONNX file; 0 for the exporter's own.
        parity: Whether the models are compared.

    Returns:
        The URI and the digest of the converted model.
    """
    import json
    import subprocess
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.json")
        command = ["fairlead-onnx-converter", "--model", model_uri, "--digest", model_digest]
        command += ["--dataset", dataset_uri, "--dataset-digest", dataset_digest]
        command += ["--out-uri", f"{models_uri.rstrip('/')}/{model_name}/{version}", "--scale", str(scale)]
        command += ["--min-accuracy", str(min_accuracy), "--out", str(out), "--min-examples", str(min_examples)]
        command += ["--max-different", str(max_different)]
        command += ["--opset", str(opset)] * (opset > 0) + ["--no-parity"] * (not parity)
        exit_code = subprocess.run(command).returncode
        if exit_code:
            what = "the conversion was rejected" if exit_code == 2 else "it could not be tried"
            raise SystemExit(f"fairlead-onnx-converter exited with {exit_code}: {what}; the reasons are above")
        result = json.loads(out.read_text())
    place = {"uri": result["uri"], "digest": result["digest"]}
    Path(model.path).write_text(json.dumps(place))
    model.metadata.update(place, parent_uri=model_uri, parent_digest=model_digest)
    for name, value in result["parity"].items():
        parity_metrics.log_metric(name, value)
    return (result["uri"], result["digest"])


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def make_scaler(
    scale: float,
    shape: str,
    models_uri: str,
    model_name: str,
    model: dsl.Output[dsl.Model],
    version: str = "v1",
) -> NamedTuple("Outputs", [("uri", str), ("digest", str)]):
    """Build a transformer that multiplies by `scale`.

    Args:
        scale: What values are multiplied by.
        shape: The shape of one example, such as 1,8,8.
        models_uri: The URI below which models are published: as MODELS_URI/MODEL_NAME/VERSION.
        model_name: The name under which the transformer is published.
        model: The transformer.
        version: The version under which the transformer is published.

    Returns:
        The URI and the digest of the transformer.
    """
    import json
    import subprocess
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.json")
        command = ["fairlead-onnx-converter", "scaler", "--scale", str(scale), "--shape", shape]
        command += ["--out-uri", f"{models_uri.rstrip('/')}/{model_name}/{version}", "--out", str(out)]
        exit_code = subprocess.run(command).returncode
        if exit_code:
            raise SystemExit(f"fairlead-onnx-converter scaler exited with {exit_code}; its message is above")
        result = json.loads(out.read_text())
    place = {"uri": result["uri"], "digest": result["digest"]}
    Path(model.path).write_text(json.dumps(place))
    model.metadata.update(place)
    return (result["uri"], result["digest"])
