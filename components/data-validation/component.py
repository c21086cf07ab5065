"""The KFP component of this folder's command."""

# KFP is untyped, and reads outputs from a NamedTuple in the annotation itself.
# mypy: disable-error-code="untyped-decorator,valid-type"

from typing import NamedTuple

from kfp import dsl


@dsl.component(base_image="fairlead/data-validation:0.1.0", packages_to_install=[], install_kfp_package=False)
def validate(
    dataset_uri: str,
    dataset_digest: str,
    expectation_suite: str,
    dataset: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> NamedTuple("Outputs", [("uri", str), ("digest", str), ("passed", bool)]):
    """Validate a dataset with a suite of expectations.

    Succeeds with either result: Kubeflow Pipelines drops the outputs of a task that fails, also its report. The step
    after it has to fail unless `passed`.

    Args:
        dataset_uri: The URI of the dataset artifact.
        dataset_digest: The digest that the dataset must have.
        expectation_suite: The suite: JSON, an artifact as URI@DIGEST, or the name of a file in the ConfigMap
            expectation-suites.
        dataset: The dataset that was validated.
        report: The expectations with what was observed, and figures of the columns.
        metrics: How many expectations there are, and how many were not met.

    Returns:
        The URI and the digest of the validation result, and whether the dataset has passed.
    """
    import json
    import subprocess
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        out, suite, mounted = Path(folder, "out.json"), expectation_suite, Path("/etc/fairlead/expectation-suites")
        if suite.lstrip().startswith("{"):
            Path(folder, "suite.json").write_text(suite)
            suite = str(Path(folder, "suite.json"))
        elif "://" not in suite and (mounted / suite).is_file():
            suite = str(mounted / suite)
        command = ["fairlead-data-validation", "--dataset", dataset_uri, "--digest", dataset_digest]
        command += ["--suite", suite, "--out", str(out), "--html", report.path]
        exit_code = subprocess.run(command).returncode
        if exit_code not in (0, 2):
            raise SystemExit(f"fairlead-data-validation exited with {exit_code}; its message is above")
        result = json.loads(out.read_text())
    place = {"uri": dataset_uri, "digest": dataset_digest}
    Path(dataset.path).write_text(json.dumps(place))
    dataset.metadata.update(place, passed=result["success"], suite=result["suite"])
    report.metadata.update(uri=result["uri"], digest=result["digest"])
    for name in ("expectations", "failed"):
        metrics.log_metric(name, result[name])
    return (result["uri"], result["digest"], result["success"])
