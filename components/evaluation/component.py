"""The KFP component of this folder's command."""

# KFP is untyped, and reads outputs from a NamedTuple in the annotation itself.
# mypy: disable-error-code="untyped-decorator,valid-type"

from typing import NamedTuple

from kfp import dsl


@dsl.component(base_image="fairlead/evaluation:0.1.0", packages_to_install=[], install_kfp_package=False)
def evaluate(
    model_uri: str,
    model_digest: str,
    dataset_uri: str,
    dataset_digest: str,
    minimum: float,
    card: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    metric: str = "accuracy",
    split: str = "eval",
    slices: list[str] = [],  # noqa: B006 - KFP reads defaults and shares none
    max_gap: float = -1.0,
    min_examples: int = 30,
) -> NamedTuple("Outputs", [("uri", str), ("digest", str)]):
    """Measure an ONNX model and publish its model card; fail unless it is good enough. A negative `max_gap` is none."""
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
        if out.exists():
            result = json.loads(out.read_text())
            for name, value in result["metrics"].items():
                metrics.log_metric(name, value)
        if exit_code:
            what = "the model is not good enough" if exit_code == 2 else "it could not be measured"
            raise SystemExit(f"fairlead-evaluation exited with {exit_code}: {what}; the reasons are above")
    return (result["uri"], result["digest"])
