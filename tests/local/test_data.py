"""The guide from a CSV file to a validated dataset and a trained model, followed word by word."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from fairlead_artifacts import fetch, read_manifest
from fairlead_cluster.base.home import CHECKOUT, default_home

from tests.local.support import LocalCluster

GUIDE = CHECKOUT / "docs" / "guides" / "data.md"
EXAMPLE = CHECKOUT / "examples" / "breast-cancer"


def test_the_guide_leads_from_a_csv_file_to_a_model(fairlead: LocalCluster, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "examples" / "breast-cancer")
    with_scikit_learn = default_home() / "envs" / "evaluation" / "bin"
    environment = {
        # the commands of the components, then `fairlead`
        "PATH": f"{with_scikit_learn}:{os.environ['PATH']}:{default_home() / 'bin'}:{Path(sys.executable).parent}",
        "HOME": str(tmp_path),
        "KUBECONFIG": str(fairlead.home / "cluster" / "kubeconfig"),
        "COLUMNS": "160",
    }
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL))
    assert script.count("fairlead-data-") == 4
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("benign 286, malignant 170", "expectations of 32 columns", "passed: ", "cancer succeeded"):
        assert words in done.stdout
    made = json.loads((tmp_path / "examples" / "breast-cancer" / "dataset.json").read_text())
    assert made["digest"] == read_manifest(made["uri"]).digest
    job = fairlead.get("tj", "cancer")
    (model,) = [artifact for artifact in job["status"]["provenance"] if artifact["name"] == "model"]
    manifest = fetch(model["uri"], tmp_path / "model", model["digest"])
    assert [(parent.name, parent.digest) for parent in manifest.parents] == [("dataset", made["digest"])]
    assert json.loads((tmp_path / "model" / "metrics.json").read_text())["accuracy"] > 0.93


def test_the_guides_recipe_is_the_examples() -> None:
    assert (EXAMPLE / "recipe.yaml").read_text() in GUIDE.read_text()
