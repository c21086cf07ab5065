"""The step that makes a dataset, as Kubeflow Pipelines runs it on one machine: its outputs are typed artifacts."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from fairlead_artifacts import read_manifest
from fairlead_pipelines.components import load_component
from kfp import local

RECIPE = "source: {synthetic: {rows: 60, features: 3}}\nsplit: {stratify: label}\noutput: {format: npz, label: label}\n"


@pytest.fixture(autouse=True)
def runner(tmp_path: Path) -> None:
    if shutil.which("fairlead-data-ingest") is None:
        pytest.skip("fairlead-data-ingest is not on PATH: `fairlead setup data-ingest` installs it")
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "outputs"))


def test_a_dataset_and_its_summary_are_artifacts_of_the_run(tmp_path: Path) -> None:
    uri = (tmp_path / "store").as_uri()
    task: Any = load_component("data-ingest").ingest(recipe=RECIPE, dataset_uri=uri)
    digest = read_manifest(uri).digest
    assert (task.outputs["uri"], task.outputs["digest"]) == (uri, digest)
    dataset, summary = task.outputs["dataset"], task.outputs["summary"]
    assert dataset.uri != uri, "KFP's launcher fails for an artifact that is not where KFP keeps its own"
    assert dataset.metadata == {"uri": uri, "digest": digest, "train": 48, "eval": 12}
    assert Path(summary.path).read_text().startswith("# Dataset")


def test_data_that_are_not_as_expected_fail_the_step(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wrong = RECIPE.replace("label: label", "label: kind")
    with pytest.raises(RuntimeError):
        load_component("data-ingest").ingest(recipe=wrong, dataset_uri=(tmp_path / "store").as_uri())
    assert "output.label: no column kind; got x0, x1, x2, label" in capfd.readouterr().out
    assert not (tmp_path / "store").exists()
