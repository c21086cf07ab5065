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
    out_uri: str,
    scale: float = 1.0,
    min_accuracy: float = 0.95,
    min_examples: int = 30,
    max_different: int = 0,
    opset: int = 0,
    parity: bool = True,
) -> NamedTuple("Outputs", [("uri", str), ("digest", str)]):
    """Convert a model to ONNX; fail unless both agree on the dataset's eval split. `opset` 0 is the exporter's own."""
    import json
    import subprocess
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.json")
        command = ["fairlead-onnx-converter", "--model", model_uri, "--digest", model_digest]
        command += ["--dataset", dataset_uri, "--dataset-digest", dataset_digest, "--out-uri", out_uri]
        command += ["--scale", str(scale), "--min-accuracy", str(min_accuracy), "--out", str(out)]
        command += ["--min-examples", str(min_examples), "--max-different", str(max_different)]
        command += ["--opset", str(opset)] * (opset > 0) + ["--no-parity"] * (not parity)
        exit_code = subprocess.run(command).returncode
        if exit_code:
            what = "the conversion was rejected" if exit_code == 2 else "it could not be tried"
            raise SystemExit(f"fairlead-onnx-converter exited with {exit_code}: {what}; the reasons are above")
        result = json.loads(out.read_text())
    return (result["uri"], result["digest"])


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def make_scaler(scale: float, shape: str, out_uri: str) -> NamedTuple("Outputs", [("uri", str), ("digest", str)]):
    """Build a transformer that multiplies by `scale`; `shape` is the shape of one example, such as 1,8,8."""
    import json
    import subprocess
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.json")
        command = ["fairlead-onnx-converter", "scaler", "--scale", str(scale), "--shape", shape]
        exit_code = subprocess.run([*command, "--out-uri", out_uri, "--out", str(out)]).returncode
        if exit_code:
            raise SystemExit(f"fairlead-onnx-converter scaler exited with {exit_code}; its message is above")
        result = json.loads(out.read_text())
    return (result["uri"], result["digest"])
