"""`fairlead-pipelines install`; that it works is shown on a cluster, in tests/local."""

from pathlib import Path

import pytest
import yaml
from fairlead_pipelines.components import FOLDER
from fairlead_pipelines.installing import _build_scripts, build_role
from fairlead_pipelines.main import main


def test_the_role_is_the_manifest() -> None:
    assert build_role() == yaml.safe_load((FOLDER / "role.yaml").read_text())


def test_steps_may_make_and_change_our_resources_and_read_what_these_need() -> None:
    rules = build_role()["rules"]
    allowed = {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}
    ours = {(name, verb) for name in ("trainingjobs", "modeldeployments") for verb in ("create", "get", "patch")}
    read = {("configmaps", "get"), ("pods", "get"), ("pods", "list"), ("pods/log", "get")}
    assert allowed == ours | read


def test_scripts_of_one_config_map_are_all_in_it(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.py").write_text(name)
    (made,) = _build_scripts([f"code={tmp_path}/a.py", f"code={tmp_path}/b.py"])
    assert made["data"] == {"a.py": "a", "b.py": "b"}


def test_a_profile_is_both_namespaces(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["install", "--profile=team", "--steps-namespace=kubeflow"])
    assert "not allowed with argument --profile" in capsys.readouterr().err
