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
    out_uri: str,
    dataset: dsl.Output[dsl.Dataset],
    drop_missing: bool = False,
) -> NamedTuple("Outputs", [("uri", str), ("digest", str)]):
    """Join features to entity rows, as known at each row's time. `sources` are artifacts' URI@DIGEST by name."""
    import json
    import subprocess
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.json")
        command = ["fairlead-feature-store", "join", "--set", feature_set, "--out-uri", out_uri, "--out", str(out)]
        command += ["--definitions", definitions_uri, "--definitions-digest", definitions_digest]
        command += ["--rows", rows_uri, "--rows-digest", rows_digest]
        command += [f"--source={name}={place}" for name, place in sources.items()]
        exit_code = subprocess.run([*command, "--missing", "drop" if drop_missing else "error"]).returncode
        if exit_code:
            raise SystemExit(f"fairlead-feature-store join exited with {exit_code}; its message is above")
        result = json.loads(out.read_text())
    dataset.uri = result["uri"]
    dataset.metadata.update(digest=result["digest"], rows=result["rows"])
    return (result["uri"], result["digest"])


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def materialize_features(
    definitions_uri: str,
    definitions_digest: str,
    sources: dict[str, str],
    until: str,
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
    return (result["until"] if replay else "",)
