"""The KFP components of this folder's command."""

# KFP is untyped, and reads outputs from a NamedTuple in the annotation itself.
# mypy: disable-error-code="untyped-decorator,valid-type"

from typing import NamedTuple

from kfp import dsl

IMAGE = "fairlead/labeling:0.1.0"


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def select_uncertain(
    dataset_uri: str,
    dataset_digest: str,
    model_uri: str,
    model_digest: str,
    url: str,
    tasks: dsl.Output[dsl.Artifact],
    split: str = "pool",
    labels: str = "",
    measure: str = "margin",
    count: int = 100,
) -> NamedTuple("Outputs", [("selected", int)]):
    """Choose the examples of which a served model is most uncertain; `labels` only if the dataset does not name them.

    The key of a deployment that asks for one is FAIRLEAD_API_KEY, from a Secret.
    """
    import json
    import subprocess
    from pathlib import Path

    command = ["fairlead-labeling", "select", "--dataset", dataset_uri, "--dataset-digest", dataset_digest]
    command += ["--model", model_uri, "--model-digest", model_digest, "--url", url, "--split", split]
    command += ["--labels", labels, "--by", measure, "--count", str(count), "--out", tasks.path]
    exit_code = subprocess.run(command).returncode
    if exit_code:
        raise SystemExit(f"fairlead-labeling select exited with {exit_code}; its message is above")
    return (len(json.loads(Path(tasks.path).read_text())["items"]),)


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def send_to_label_studio(tasks: dsl.Input[dsl.Artifact], server: str, project: str, picture: str = ""):
    """Create tasks in a project of Label Studio; those that are there stay. The token is LABEL_STUDIO_API_KEY."""
    import subprocess

    command = ["fairlead-labeling", "export", "--tasks", tasks.path, "--label-studio", server, "--project", project]
    exit_code = subprocess.run([*command, "--picture", picture]).returncode
    if exit_code:
        raise SystemExit(f"fairlead-labeling export exited with {exit_code}; its message is above")


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def import_labels(
    tasks: dsl.Input[dsl.Artifact],
    server: str,
    project: str,
    dataset_uri: str,
    dataset: dsl.Output[dsl.Dataset],
    min_kappa: float = 0.6,
    annotators: int = 2,
    partial: bool = False,
) -> NamedTuple("Outputs", [("uri", str), ("digest", str)]):
    """Publish what the annotators of a project agree on as the next version of the dataset."""
    import json
    import subprocess
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.json")
        command = ["fairlead-labeling", "import", "--tasks", tasks.path, "--label-studio", server]
        command += ["--project", project, "--min-kappa", str(min_kappa), "--annotators", str(annotators)]
        command += ["--to", dataset_uri, "--out", str(out), *(["--partial"] if partial else [])]
        exit_code = subprocess.run(command).returncode
        if exit_code:
            what = "the annotators do not agree, or not enough of them have labelled" if exit_code == 3 else "see above"
            raise SystemExit(f"fairlead-labeling import exited with {exit_code}: {what}")
        result = json.loads(out.read_text())
    # The artifact's own URI stays where Kubeflow Pipelines keeps its artifacts: its launcher fails for one elsewhere.
    place = {"uri": result["uri"], "digest": result["digest"]}
    Path(dataset.path).write_text(json.dumps(place))
    dataset.metadata.update({**result["splits"], **place, "kappa": result["kappa"]})
    return (result["uri"], result["digest"])
