"""The KFP component of this folder's command."""

# KFP is untyped, and reads outputs from a NamedTuple in the annotation itself.
# mypy: disable-error-code="untyped-decorator,valid-type"

from typing import NamedTuple

from kfp import dsl


@dsl.component(base_image="fairlead/data-validation:0.1.0", packages_to_install=[], install_kfp_package=False)
def validate(
    dataset_uri: str,
    dataset_digest: str,
    suite: str,
    report: dsl.Output[dsl.HTML],
) -> NamedTuple("Outputs", [("uri", str), ("digest", str)]):
    """Validate a dataset with a suite of expectations; fail if it does not pass.

    Args:
        dataset_uri: The URI of the dataset artifact.
        dataset_digest: The digest that the dataset must have.
        suite: The expectation suite, as JSON or as the path of a file in the image.
        report: The expectations with what was observed, and figures of the columns.

    Returns:
        The URI and the digest of the validation result.
    """
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
        command += ["--suite", str(file), "--out", str(out), "--html", report.path]
        exit_code = subprocess.run(command).returncode
        if exit_code:
            what = "the dataset did not pass" if exit_code == 2 else "it could not be validated"
            raise SystemExit(f"fairlead-data-validation exited with {exit_code}: {what}; the reasons are above")
        result = json.loads(out.read_text())
    return (result["uri"], result["digest"])
