"""The KFP component of this folder's command."""

# KFP is untyped, and reads outputs from a NamedTuple in the annotation itself.
# mypy: disable-error-code="untyped-decorator,valid-type"

from typing import NamedTuple

from kfp import dsl


@dsl.component(base_image="fairlead/data-validation:0.1.0", packages_to_install=[], install_kfp_package=False)
def validate(dataset_uri: str, dataset_digest: str, suite: str) -> NamedTuple(
    "Outputs", [("uri", str), ("digest", str)]
):
    """Validate a dataset; fail if it does not pass. `suite` is JSON, or the path of a file in the image."""
    import json
    import subprocess
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        out, file = Path(folder, "out.json"), Path(suite)
        if suite.lstrip().startswith("{"):
            file = Path(folder, "suite.json")
            file.write_text(suite)
        command = ["fairlead-data-validation", "--dataset", dataset_uri, "--digest", dataset_digest]
        exit_code = subprocess.run([*command, "--suite", str(file), "--out", str(out)]).returncode
        if exit_code:
            what = "the dataset did not pass" if exit_code == 2 else "it could not be validated"
            raise SystemExit(f"fairlead-data-validation exited with {exit_code}: {what}; the reasons are above")
        result = json.loads(out.read_text())
    return (result["uri"], result["digest"])
