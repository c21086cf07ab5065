"""The KFP component of this folder's command."""

# KFP is untyped, and reads outputs from a NamedTuple in the annotation itself.
# mypy: disable-error-code="untyped-decorator,valid-type"

from typing import NamedTuple

from kfp import dsl

IMAGE = "fairlead/compression:0.1.0"


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def compress(
    recipe: str,
    model_uri: str,
    model_digest: str,
    dataset_uri: str,
    dataset_digest: str,
    models_uri: str,
    model_name: str,
    version: str,
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    scale: float = 1.0,
    split: str = "eval",
    train_split: str = "train",
) -> NamedTuple("Outputs", [("uri", str), ("digest", str)]):
    """Make a model smaller by distillation or pruning; fail if it loses more accuracy than the recipe allows.

    Args:
        recipe: The recipe, as YAML.
        model_uri: The URI of the model artifact.
        model_digest: The digest that the model must have.
        dataset_uri: The URI of the dataset artifact.
        dataset_digest: The digest that the dataset must have.
        models_uri: The URI below which models are published: as MODELS_URI/MODEL_NAME/VERSION.
        model_name: The name under which the smaller model is published.
        version: The version under which the smaller model is published.
        model: The smaller model.
        metrics: What both models are worth and what they cost.
        scale: What the examples are multiplied by before the model gets them.
        split: The held-out split, on which both models are measured.
        train_split: The split to train on.

    Returns:
        The URI and the digest of the smaller model.
    """
    import json
    import subprocess
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        out, file = Path(folder, "out.json"), Path(folder, "recipe.yaml")
        file.write_text(recipe)
        command = ["fairlead-compress", "run", "--recipe", str(file), "--model", model_uri, "--digest", model_digest]
        command += ["--dataset", dataset_uri, "--dataset-digest", dataset_digest, "--scale", str(scale)]
        command += ["--out-uri", f"{models_uri.rstrip('/')}/{model_name}/{version}", "--out", str(out)]
        command += ["--split", split, "--train-split", train_split]
        exit_code = subprocess.run(command).returncode
        if exit_code:
            what = "the accuracy fell too far" if exit_code == 2 else "it could not be tried"
            raise SystemExit(f"fairlead-compress exited with {exit_code}: {what}; the reasons are above")
        result = json.loads(out.read_text())
    place = {"uri": result["uri"], "digest": result["digest"]}
    Path(model.path).write_text(json.dumps(place))
    model.metadata.update(place, parent_uri=model_uri, parent_digest=model_digest)
    for when in ("before", "after"):
        for name, value in result[when].items():
            metrics.log_metric(f"{name}_{when}", value)
    return (result["uri"], result["digest"])
