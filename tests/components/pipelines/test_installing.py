"""`fairlead-pipelines install`; that it works is shown on a cluster, in tests/local."""

import pytest
import yaml
from fairlead_pipelines.components import FOLDER
from fairlead_pipelines.installing import build_role
from fairlead_pipelines.main import main


def test_the_role_is_the_manifest() -> None:
    assert build_role() == yaml.safe_load((FOLDER / "role.yaml").read_text())


def test_no_step_may_read_secrets_or_change_what_it_did_not_make() -> None:
    for rule in build_role()["rules"]:
        assert "secrets" not in rule["resources"]
        assert rule["apiGroups"] == ["fairlead.dev"] or set(rule["verbs"]) <= {"get", "list"}


def test_a_profile_is_both_namespaces(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["install", "--profile=team", "--steps-namespace=kubeflow"])
    assert "not allowed with argument --profile" in capsys.readouterr().err
