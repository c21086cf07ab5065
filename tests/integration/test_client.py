"""The SDK and the command line against a real API server, without an operator: the test sets the status."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairlead.api.training_job import TrainingJob
from fairlead.cli.main import build_app
from fairlead.client import Conflict, Denied, FairleadClient, NotFound, Rejected, ResourceFailed
from typer.testing import CliRunner, Result

from tests.integration.test_training_job import FAILURE
from tests.support.api_server import Kubectl
from tests.support.resources import MODEL_DEPLOYMENT, TRAINING_JOB, Object, change

NAMESPACE = "sdk"
_NOW = "2026-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def client(kubectl: Kubectl) -> FairleadClient:
    kubectl("create", "namespace", NAMESPACE)
    return FairleadClient(NAMESPACE, kubeconfig=kubectl.kubeconfig)


@pytest.fixture
def run(kubectl: Kubectl, client: FairleadClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Run a command line in the client's namespace; returns its exit code and output."""
    monkeypatch.setenv("KUBECONFIG", str(kubectl.kubeconfig))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words: str) -> Result:
        return CliRunner().invoke(build_app(), [*words, "-n", client.namespace])

    return call


def _job(name: str, **changes: Any) -> Object:
    return change(TRAINING_JOB, metadata__name=name, metadata__namespace=NAMESPACE, **changes)


def _set_condition(kubectl: Kubectl, name: str, type_: str, reason: str, message: str) -> None:
    generation = kubectl.get("tj", name, NAMESPACE)["metadata"]["generation"]
    set_ = {"type": type_, "status": "True", "reason": reason, "message": message, "lastTransitionTime": _NOW}
    set_["observedGeneration"] = generation
    status = {
        "observedGeneration": generation,
        "phase": type_,
        "conditions": [set_],
    }
    kubectl.patch_status("tj", name, status, NAMESPACE)


def test_models_are_applied_and_returned(client: FairleadClient) -> None:
    applied = client.apply(TrainingJob.model_validate(_job("typed")))
    assert applied.spec.workers.replicas == 2
    assert applied.metadata.uid
    assert client.get(TrainingJob, "typed") == applied
    assert [job.metadata.name for job in client.list(TrainingJob)] == ["typed"]
    client.delete(TrainingJob, "typed")
    with pytest.raises(NotFound, match=r"TrainingJob typed: 404: .*not found"):
        client.get(TrainingJob, "typed")


def test_dictionaries_of_any_kind_are_applied_and_returned(client: FairleadClient) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}}
    assert client.apply(account)["metadata"]["namespace"] == NAMESPACE
    assert client.get("ServiceAccount", "robot")["kind"] == "ServiceAccount"
    assert "robot" in [item["metadata"]["name"] for item in client.list("serviceaccounts")]
    client.delete("ServiceAccount", "robot")


def test_a_dry_run_stores_nothing(client: FairleadClient) -> None:
    assert client.apply(_job("dry"), dry_run=True)["metadata"]["name"] == "dry"
    with pytest.raises(NotFound):
        client.get("tj", "dry")


@pytest.mark.parametrize(
    ("obj", "error", "message"),
    [
        pytest.param(_job("bad", spec__workers__replicas=0), Rejected, "spec.workers.replicas", id="out of range"),
        pytest.param(_job("bad", spec__worker=1), Rejected, "spec.worker", id="an unknown field"),
        pytest.param(
            {"apiVersion": "example.com/v1", "kind": "Nothing", "metadata": {"name": "x"}}, NotFound,
            "does not know this kind", id="an unknown kind",
        ),
    ],
)  # fmt: skip
def test_a_rejected_object_is_named(client: FairleadClient, obj: Object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        client.apply(obj)


def test_a_field_of_another_manager_is_a_conflict_unless_forced(kubectl: Kubectl, client: FairleadClient) -> None:
    client.apply(_job("owned", spec__runPolicy={"backoffLimit": 1}))
    other = FairleadClient(NAMESPACE, kubeconfig=kubectl.kubeconfig, field_manager="another")
    changed = _job("owned", spec__runPolicy={"backoffLimit": 2})
    with pytest.raises(Conflict, match="backoffLimit"):
        other.apply(changed, force=False)
    assert other.apply(changed)["spec"]["runPolicy"]["backoffLimit"] == 2
    client.delete("tj", "owned")


def test_a_user_without_rights_is_denied(kubectl: Kubectl, client: FairleadClient, tmp_path: Path) -> None:
    client.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "powerless"}})
    config = yaml.safe_load(kubectl.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": kubectl("create", "token", "powerless", "-n", NAMESPACE).strip()}
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    with pytest.raises(Denied, match=r"TrainingJob x: 403: .*powerless.*cannot get"):
        FairleadClient(NAMESPACE, kubeconfig=tmp_path / "config").get("tj", "x")


def test_waiting_returns_a_model_or_raises_the_reason(kubectl: Kubectl, client: FairleadClient) -> None:
    client.apply(_job("waited"))
    _set_condition(kubectl, "waited", "Succeeded", "TrainingFinished", "2 workers finished.")
    assert client.wait(TrainingJob, "waited", "Succeeded", seconds=10).status.phase == "Succeeded"
    _set_condition(kubectl, "waited", "Failed", "WorkerFailed", json.dumps(FAILURE))
    with pytest.raises(ResourceFailed, match="TrainingJob waited failed: WorkerFailed"):
        client.wait("tj", "waited", "Succeeded", seconds=10)
    client.delete("tj", "waited")


def test_the_command_line_applies_lists_describes_and_deletes(kubectl: Kubectl, run: Any, tmp_path: Path) -> None:
    file = tmp_path / "resources.yaml"
    deployment = change(MODEL_DEPLOYMENT, metadata__name="cli", metadata__namespace=NAMESPACE)
    file.write_text(yaml.safe_dump_all([_job("cli"), deployment]))
    applied = run("apply", "-f", str(file))
    assert (applied.exit_code, applied.output.split()) == (
        0, ["TrainingJob", "cli", "applied", "ModelDeployment", "cli", "applied"],
    )  # fmt: skip
    _set_condition(kubectl, "cli", "Blocked", "ValidationMissing", "No validation result for [this] digest.")
    listed = run("get")
    assert listed.exit_code == 0
    assert [word in listed.output for word in ("PHASE", "Blocked", "REPLICAS")] == [True] * 3
    described = run("describe", "tj/cli")
    assert described.exit_code == 0
    assert "ValidationMissing" in described.output
    assert "[this] digest" in described.output  # text from a tenant is not interpreted as markup
    deleted = run("delete", "-f", str(file))
    assert deleted.output.split() == ["TrainingJob", "cli", "deleted", "ModelDeployment", "cli", "deleted"]
    assert run("get", "tj").output.strip() == "TrainingJob: none"


def test_a_watched_job_is_shown_until_it_has_finished(kubectl: Kubectl, run: Any, client: FairleadClient) -> None:
    client.apply(_job("watched"))
    _set_condition(kubectl, "watched", "Failed", "WorkerExited", "Worker 0 exited with code 3.")
    watched = run("get", "tj", "watched", "--watch")
    assert (watched.exit_code, watched.output) == (
        0, "watched Failed (WorkerExited: Worker 0 exited with code 3.)\n",
    )  # fmt: skip
    client.delete("tj", "watched")


def test_the_doctor_finds_a_jobs_cause_and_what_to_do(kubectl: Kubectl, run: Any, client: FairleadClient) -> None:
    client.apply(_job("ill"))
    _set_condition(kubectl, "ill", "Blocked", "ValidationMissing", "No validation result.")
    found = run("doctor", "tj/ill")
    words = " ".join(found.output.split())
    assert found.exit_code == 1
    for part in (
        "✓ API fairlead.dev/v1alpha1",
        "✓ permissions",
        "Blocked: ValidationMissing",
        "fairlead-data-validation",
    ):
        assert part in words
    client.delete("tj", "ill")


def test_the_doctor_names_what_a_user_may_not_do(kubectl: Kubectl, client: FairleadClient, tmp_path: Path) -> None:
    client.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "visitor"}})
    config = yaml.safe_load(kubectl.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": kubectl("create", "token", "visitor", "-n", NAMESPACE).strip()}
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    facts = FairleadClient(NAMESPACE, kubeconfig=tmp_path / "config").examine_cluster()
    assert facts.operators is None
    assert {"create trainingjobs", "get pods/log"} <= set(facts.denied)


def test_logs_of_a_job_are_those_of_all_its_pods(run: Any, client: FairleadClient) -> None:
    client.apply(_job("silent"))
    assert run("logs", "silent").output == ""
    missing = run("logs", "nothing")
    assert missing.exit_code == 1
    assert "TrainingJob nothing: 404" in missing.output
    client.delete("tj", "silent")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(("describe", "digits"), "got 'digits', expected KIND/NAME", id="no kind"),
        pytest.param(("describe", "tj/none"), "TrainingJob none: 404", id="no such job"),
        pytest.param(("logs", "tj/none"), "TrainingJob none: 404", id="no such job to read logs of"),
        pytest.param(("get", "nothing"), "does not know this kind", id="no such kind"),
        pytest.param(("delete",), "got no resources", id="nothing to delete"),
        pytest.param(("predict", "none", "-f", "/dev/null"), "/dev/null: expected JSON", id="no JSON"),
    ],
)
def test_the_command_line_reports_errors_in_one_line(run: Any, words: tuple[str, ...], message: str) -> None:
    result = run(*words)
    assert result.exit_code == 1
    assert message in " ".join(result.output.split())


def test_delete_of_a_file_deletes_in_the_namespace_that_the_file_names(
    kubectl: Kubectl, run: Any, client: FairleadClient, tmp_path: Path
) -> None:
    kubectl("create", "namespace", "elsewhere")
    for namespace in (NAMESPACE, "elsewhere"):
        kubectl.apply(change(TRAINING_JOB, metadata__name="twin", metadata__namespace=namespace))
    file = tmp_path / "job.yaml"
    file.write_text(yaml.safe_dump(change(TRAINING_JOB, metadata__name="twin", metadata__namespace="elsewhere")))
    assert run("delete", "-f", str(file)).exit_code == 0
    assert kubectl.get("tj", "twin", "elsewhere") == {}
    assert client.get("tj", "twin")["metadata"]["namespace"] == NAMESPACE
    client.delete("tj", "twin")


def test_code_arrives_as_it_is(client: FairleadClient) -> None:
    code = "print('größe ✓ 🎉', '\\x00')\t# \x1b\x7f\u2028\ufeff\r\nyes: [no]\n"
    name = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "code"}}
    client.apply(name | {"data": {"train.py": code}, "immutable": True})
    assert client.get("ConfigMap", "code")["data"] == {"train.py": code}


def test_a_job_of_a_folder_is_created_and_replaced(run: Any, client: FairleadClient, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print('🎉')")
    words = ("train", str(tmp_path), "--name", "folder", "--no-follow")
    first = run(*words)
    assert first.exit_code == 0, first.output
    uid = client.get("TrainingJob", "folder")["metadata"]["uid"]
    again = run(*words)
    assert again.exit_code == 1 and "TrainingJob folder exists (new)" in again.output
    replaced = run(*words, "--replace")
    assert replaced.exit_code == 0, replaced.output
    job = client.get("TrainingJob", "folder")
    assert job["metadata"]["uid"] != uid
    volume = job["spec"]["workers"]["template"]["spec"]["volumes"][0]
    config_map = client.get("ConfigMap", volume["configMap"]["name"])
    assert [owner["uid"] for owner in config_map["metadata"]["ownerReferences"]] == [job["metadata"]["uid"]]
