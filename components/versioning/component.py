"""The KFP component of this folder's command."""

# KFP is untyped, and reads outputs from a NamedTuple in the annotation itself.
# mypy: disable-error-code="untyped-decorator,valid-type"

from typing import NamedTuple

from kfp import dsl


@dsl.component(base_image="fairlead/versioning:0.1.0", packages_to_install=[], install_kfp_package=False)
def import_dvc(
    dvc_file: str,
    remote: str,
    dataset_uri: str,
    dataset: dsl.Output[dsl.Dataset],
) -> NamedTuple("Outputs", [("uri", str), ("digest", str)]):
    """Publish what a `.dvc` file tracks as a dataset; the same data only once.

    Args:
        dvc_file: The content of the file, or its path in the image or on a volume.
        remote: The remote that has its objects: s3://bucket/path, or a folder on a volume.
        dataset_uri: Where to publish the dataset: s3://bucket/path.
        dataset: The dataset that was published.

    Returns:
        The URI and the digest of the dataset.
    """
    import json
    import subprocess
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        out, file = Path(folder, "out.json"), Path(dvc_file)
        if "\n" in dvc_file:
            file = Path(folder, "data.dvc")
            file.write_text(dvc_file)
        command = ["fairlead-versioning", "import", str(file), "--remote", remote, "--to", dataset_uri]
        exit_code = subprocess.run([*command, "--out", str(out)]).returncode
        if exit_code:
            what = "a file or an object is not as expected" if exit_code == 2 else "the remote or the store failed"
            raise SystemExit(f"fairlead-versioning exited with {exit_code}: {what}; the reason is above")
        result = json.loads(out.read_text())
    # The artifact's own URI stays where Kubeflow Pipelines keeps its artifacts: its launcher fails for one elsewhere.
    place = {"uri": result["uri"], "digest": result["digest"]}
    Path(dataset.path).write_text(json.dumps(place))
    dataset.metadata.update({**place, "files": result["files"]})
    return (result["uri"], result["digest"])
