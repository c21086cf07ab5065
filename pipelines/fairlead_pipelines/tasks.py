"""The KFP components of the steps that use Fairlead's resources: thin wrappers of `fairlead-pipelines`."""

# KFP is untyped, and reads outputs from a NamedTuple in the annotation itself.
# mypy: disable-error-code="untyped-decorator,valid-type"

from typing import NamedTuple

from kfp import dsl

IMAGE = "fairlead/pipelines:0.1.0"


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def train(
    name: str,
    namespace: str,
    image: str,
    code: str,
    script: str,
    arguments: list[str],
    workers: int,
    dataset_uri: str,
    dataset_digest: str,
    model_uri: str,
    store_secret: str,
) -> NamedTuple("Outputs", [("uri", str), ("digest", str), ("version", str)]):
    """Run a TrainingJob and return the URI, digest and version of its model."""
    import json
    import subprocess
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.json")
        command = ["fairlead-pipelines", "train", "--name", name, "--namespace", namespace, "--image", image]
        command += ["--code", code, "--script", script, *(f"--argument={word}" for word in arguments)]
        command += ["--workers", str(workers), "--dataset", dataset_uri, "--dataset-digest", dataset_digest]
        command += ["--model-uri", model_uri, "--store-secret", store_secret, "--out", str(out)]
        exit_code = subprocess.run(command).returncode
        if exit_code:
            raise SystemExit(f"fairlead-pipelines train exited with {exit_code}; its message is above")
        result = json.loads(out.read_text())
    return (result["uri"], result["digest"], result["version"])


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def deploy(
    name: str,
    namespace: str,
    classifier_uri: str,
    classifier_digest: str,
    store_secret: str,
    scaler_uri: str = "",
    scaler_digest: str = "",
    features_uri: str = "",
    features_digest: str = "",
    feature_set: str = "",
    feature_store_secret: str = "",
    now: str = "",
) -> str:
    """Apply a ModelDeployment of a classifier behind a scaler or features; return its URL once it is ready."""
    import json
    import subprocess
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.json")
        command = ["fairlead-pipelines", "deploy", "--name", name, "--namespace", namespace]
        if features_uri:
            command += ["--features", features_uri, "--features-digest", features_digest, "--feature-set", feature_set]
            command += ["--feature-store-secret", feature_store_secret, "--now", now]
        else:
            command += ["--scaler", scaler_uri, "--scaler-digest", scaler_digest]
        command += ["--classifier", classifier_uri, "--classifier-digest", classifier_digest]
        command += ["--store-secret", store_secret, "--out", str(out)]
        exit_code = subprocess.run(command).returncode
        if exit_code:
            raise SystemExit(f"fairlead-pipelines deploy exited with {exit_code}; its message is above")
        return str(json.loads(out.read_text())["url"])
