"""The steps that bring data from other tools: they compile, and name their datasets as KFP's launcher accepts it."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairlead_artifacts import read_manifest
from fairlead_pipelines.components import load_component
from kfp import compiler, local

STEPS = [
    ("versioning", "import_dvc"),
    ("labeling", "select_uncertain"),
    ("labeling", "send_to_label_studio"),
    ("labeling", "import_labels"),
]


@pytest.mark.parametrize(("folder", "name"), STEPS)
def test_steps_compile_and_leave_an_artifacts_uri_to_kfp(folder: str, name: str, tmp_path: Path) -> None:
    file = tmp_path / "step.yaml"
    compiler.Compiler().compile(getattr(load_component(folder), name), str(file))
    document = yaml.safe_load(file.read_text())
    (executor,) = document["deploymentSpec"]["executors"].values()
    program = " ".join(executor["container"]["command"])
    assert f"def {name}(" in program
    assert not re.search(r"\.uri\s*=[^=]", program), "KFP's launcher fails for an artifact that is not in its own store"
    assert executor["container"]["image"] == f"fairlead/{folder}:0.1.0"


def test_a_dataset_from_dvc_is_an_artifact_of_the_run(tmp_path: Path) -> None:
    if shutil.which("fairlead-versioning") is None:
        pytest.skip("fairlead-versioning is not on PATH: `fairlead setup versioning` installs it")
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "outputs"))
    content, uri = b"a,b\n1,2\n", (tmp_path / "store").as_uri()
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    remote = tmp_path / "remote" / "files" / "md5" / md5[:2] / md5[2:]
    remote.parent.mkdir(parents=True)
    remote.write_bytes(content)
    tracked = f"outs:\n- md5: {md5}\n  size: {len(content)}\n  hash: md5\n  path: data.csv\n"
    step: Any = load_component("versioning").import_dvc
    task = step(dvc_file=tracked, remote=str(tmp_path / "remote"), dataset_uri=uri)
    place = {"uri": uri, "digest": read_manifest(uri).digest}
    assert {name: task.outputs[name] for name in place} == place
    dataset = task.outputs["dataset"]
    assert dataset.uri != uri, "KFP's launcher fails for an artifact that is not where KFP keeps its own"
    assert dataset.metadata == {**place, "files": 1}
    assert json.loads(Path(dataset.path).read_text()) == place
