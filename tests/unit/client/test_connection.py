"""How the client finds its cluster."""

from pathlib import Path

import pytest
from fairlead.client import FairleadClient, Unreachable

from tests.unit.client.conftest import write_kubeconfig


def test_the_namespace_is_the_contexts(tmp_path: Path) -> None:
    write_kubeconfig(tmp_path / "config", "http://127.0.0.1:1", namespace="team-a")
    assert FairleadClient(kubeconfig=tmp_path / "config").namespace == "team-a"
    assert FairleadClient(kubeconfig=tmp_path / "config", context="other").namespace == "elsewhere"
    assert FairleadClient("mine", kubeconfig=tmp_path / "config").namespace == "mine"


def test_the_environment_is_read_when_the_client_is_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_kubeconfig(tmp_path / "config", "http://127.0.0.1:1", namespace="team-b")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    assert FairleadClient().namespace == "team-b"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "does not exist", id="no such file"),
        pytest.param("", "no cluster", id="an empty file"),
        pytest.param("[1, 2", "no cluster", id="no YAML"),
        pytest.param("kind: Config\nclusters: []\n", "no cluster", id="no context"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    with pytest.raises(Unreachable, match=message) as caught:
        FairleadClient(kubeconfig=path)
    assert str(path) in str(caught.value)
    assert "fairlead up" in str(caught.value)


def test_an_unknown_context_is_named(tmp_path: Path) -> None:
    write_kubeconfig(tmp_path / "config", "http://127.0.0.1:1")
    with pytest.raises(Unreachable, match="nowhere"):
        FairleadClient(kubeconfig=tmp_path / "config", context="nowhere")


def test_no_kubeconfig_is_one_message_and_no_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(Unreachable, match=r"no cluster: expected a kubeconfig in .*\.kube/config"):
        FairleadClient()
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_a_server_that_does_not_respond_is_named(tmp_path: Path) -> None:
    write_kubeconfig(tmp_path / "config", "http://127.0.0.1:1")
    with pytest.raises(Unreachable, match="TrainingJob x: no response from the API server"):
        FairleadClient(kubeconfig=tmp_path / "config").get("TrainingJob", "x")
