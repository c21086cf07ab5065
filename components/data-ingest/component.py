"""The KFP component of this folder's command."""

# KFP is untyped, and reads outputs from a NamedTuple in the annotation itself.
# mypy: disable-error-code="untyped-decorator,valid-type"

from typing import NamedTuple

from kfp import dsl


@dsl.component(base_image="fairlead/data-ingest:0.1.0", packages_to_install=[], install_kfp_package=False)
def ingest(
    recipe: str,
    dataset_uri: str,
    dataset: dsl.Output[dsl.Dataset],
    summary: dsl.Output[dsl.Markdown],
) -> NamedTuple("Outputs", [("uri", str), ("digest", str)]):
    """Fetch, check, split and augment data by a recipe, and publish them as a dataset; the same data only once.

    Args:
        recipe: The recipe, as YAML or JSON, or the path of a file in the image or on a volume.
        dataset_uri: Where to publish the dataset: s3://bucket/path.
        dataset: The dataset that was published.
        summary: Where the data come from, the sizes of the splits and classes, and the columns.

    Returns:
        The URI and the digest of the dataset.
    """
    import json
    import subprocess
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        out, file = Path(folder, "out.json"), Path(recipe)
        if "\n" in recipe or recipe.lstrip().startswith("{"):
            file = Path(folder, "recipe.yaml")
            file.write_text(recipe)
        command = ["fairlead-data-ingest", "--recipe", str(file), "--to", dataset_uri, "--out", str(out)]
        exit_code = subprocess.run([*command, "--summary", summary.path]).returncode
        if exit_code:
            what = "the data or the recipe are not as expected" if exit_code == 2 else "a source or the store failed"
            raise SystemExit(f"fairlead-data-ingest exited with {exit_code}: {what}; the reasons are above")
        result = json.loads(out.read_text())
    # The artifact's own URI stays where Kubeflow Pipelines keeps its artifacts: its launcher fails for one elsewhere.
    place = {"uri": result["uri"], "digest": result["digest"]}
    Path(dataset.path).write_text(json.dumps(place))
    dataset.metadata.update({**place, **result["splits"]})
    return (result["uri"], result["digest"])
