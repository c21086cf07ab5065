"""The KFP components of this folder's command."""

# KFP is untyped, and reads outputs from a NamedTuple in the annotation itself.
# mypy: disable-error-code="untyped-decorator,valid-type"

from typing import NamedTuple

from kfp import dsl

IMAGE = "fairlead/feature-store:0.1.0"


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def join_features(
    definitions_uri: str,
    definitions_digest: str,
    feature_set: str,
    rows_uri: str,
    rows_digest: str,
    sources: dict[str, str],
    datasets_uri: str,
    dataset_name: str,
    kubeflow_run_name: str,
    dataset: dsl.Output[dsl.Dataset],
    version: str = "",
    drop_missing: bool = False,
) -> NamedTuple("Outputs", [("uri", str), ("digest", str)]):
    """Join features to entity rows, as known at each row's time.

    Args:
        definitions_uri: The URI of the artifact with the definitions of the features.
        definitions_digest: The digest that the definitions must have.
        feature_set: Which of the definitions' sets.
        rows_uri: The URI of the entity rows.
        rows_digest: The digest that the rows must have.
        sources: The artifacts of the histories, as URI@DIGEST, by the names in the definitions.
        datasets_uri: The URI below which datasets are published: as DATASETS_URI/DATASET_NAME/VERSION.
        dataset_name: The name under which the joined dataset is published.
        kubeflow_run_name: The version, if none is given.
        dataset: The joined dataset.
        version: The version under which the joined dataset is published.
        drop_missing: Whether rows without all features are left out.

    Returns:
        The URI and the digest of the joined dataset.
    """
    import json
    import subprocess
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.json")
        out_uri = f"{datasets_uri.rstrip('/')}/{dataset_name}/{version or kubeflow_run_name}"
        command = ["fairlead-feature-store", "join", "--set", feature_set, "--out-uri", out_uri, "--out", str(out)]
        command += ["--definitions", definitions_uri, "--definitions-digest", definitions_digest]
        command += ["--rows", rows_uri, "--rows-digest", rows_digest]
        command += [f"--source={name}={place}" for name, place in sources.items()]
        exit_code = subprocess.run([*command, "--missing", "drop" if drop_missing else "error"]).returncode
        if exit_code:
            raise SystemExit(f"fairlead-feature-store join exited with {exit_code}; its message is above")
        result = json.loads(out.read_text())
    place = {"uri": result["uri"], "digest": result["digest"]}
    Path(dataset.path).write_text(json.dumps(place))
    dataset.metadata.update(place, rows=result["rows"])
    return (result["uri"], result["digest"])


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def materialize_features(
    definitions_uri: str,
    definitions_digest: str,
    sources: dict[str, str],
    until: str,
    metrics: dsl.Output[dsl.Metrics],
    replay: bool = False,
) -> NamedTuple("Outputs", [("replayed", str)]):
    """Write what is known at a time (ISO 8601) to the online store. With `replay`, look-ups are to take it for now.

    Where the store is further, it stays so, and look-ups are to take the later time.
    """
    import json
    import subprocess
    import tempfile
    from pathlib import Path

    definitions = ["--definitions", definitions_uri, "--definitions-digest", definitions_digest]
    writing = ["materialize", *definitions, "--until", until]
    writing += [f"--source={name}={place}" for name, place in sources.items()]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.json")
        for words, good in ((["apply", *definitions], [0]), ([*writing, "--out", str(out)], [0, 3])):
            exit_code = subprocess.run(["fairlead-feature-store", *words]).returncode
            if exit_code not in good:
                raise SystemExit(f"fairlead-feature-store {words[0]} exited with {exit_code}; its message is above")
        result = json.loads(out.read_text())
    for name, view in result["views"].items():
        metrics.log_metric(f"{name}_entities", view["entities"])
    return (result["until"] if replay else "",)
