"""Volumes on disk."""

import base64
import stat
from pathlib import Path
from typing import Any

import pytest
from fairlead_cluster.local.node.environment import NotConfigured, Sources
from fairlead_cluster.local.node.volumes import make_volumes, referenced_objects, token_request

SOURCES = Sources(
    config_maps={"c": {"data": {"a": "1", "b": "2"}}},
    secrets={"s": {"data": {"k": base64.b64encode(b"v").decode()}}},
    token="tok",
)


def _pod(*volumes: dict[str, Any], **container: Any) -> dict[str, Any]:
    meta = {"name": "p", "namespace": "ns", "uid": "u"}
    return {"metadata": meta, "spec": {"volumes": list(volumes), "containers": [{"name": "main", **container}]}}


def _files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_keys_become_files_with_their_mode(tmp_path: Path) -> None:
    secret = {"secretName": "s", "defaultMode": 0o400}
    volumes = make_volumes(_pod({"name": "v", "secret": secret}), SOURCES, tmp_path)
    assert _files(volumes["v"]) == {"k": "v"}
    assert stat.S_IMODE((volumes["v"] / "k").stat().st_mode) & 0o077 == 0


def test_items_choose_keys_and_paths(tmp_path: Path) -> None:
    config = {"name": "c", "items": [{"key": "b", "path": "deep/er"}]}
    assert _files(make_volumes(_pod({"name": "v", "configMap": config}), SOURCES, tmp_path)["v"]) == {"deep/er": "2"}


def test_projected_volumes_hold_all_their_sources(tmp_path: Path) -> None:
    sources = [
        {"configMap": {"name": "c", "items": [{"key": "a", "path": "a"}]}},
        {"secret": {"name": "s"}},
        {"serviceAccountToken": {"path": "token"}},
        {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    ]
    volumes = make_volumes(_pod({"name": "v", "projected": {"sources": sources}}), SOURCES, tmp_path)
    assert _files(volumes["v"]) == {"a": "1", "k": "v", "token": "tok", "name": "p"}


def test_an_empty_dir_keeps_its_files_when_volumes_are_written_again(tmp_path: Path) -> None:
    pod = _pod({"name": "v", "emptyDir": {}})
    (make_volumes(pod, SOURCES, tmp_path)["v"] / "kept").touch()
    assert _files(make_volumes(pod, SOURCES, tmp_path)["v"]) == {"kept": ""}


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"configMap": {"name": "no"}}, "configmap 'no' not found"),
        ({"secret": {"secretName": "no"}}, "secret 'no' not found"),
        ({"configMap": {"name": "c", "items": [{"key": "z", "path": "z"}]}}, "configmap 'c' has no key 'z'"),
    ],
)
def test_missing_objects_are_named(tmp_path: Path, volume: dict[str, Any], message: str) -> None:
    with pytest.raises(NotConfigured, match=message):
        make_volumes(_pod({"name": "v", **volume}), SOURCES, tmp_path)


def test_objects_are_found_wherever_a_pod_names_them() -> None:
    pod = _pod(
        {"name": "a", "configMap": {"name": "c1"}},
        {"name": "b", "secret": {"secretName": "s1"}},
        {"name": "c", "projected": {"sources": [{"secret": {"name": "s2"}}, {"configMap": {"name": "c2"}}]}},
        env=[{"name": "V", "valueFrom": {"secretKeyRef": {"name": "s3", "key": "k"}}}],
        envFrom=[{"configMapRef": {"name": "c3"}}],
    )
    assert referenced_objects(pod) == ({"c1", "c2", "c3"}, {"s1", "s2", "s3"})


def test_a_token_is_requested_where_a_volume_asks_for_one() -> None:
    source = {"serviceAccountToken": {"path": "token", "expirationSeconds": 600}}
    assert token_request(_pod({"name": "v", "projected": {"sources": [source]}})) == source["serviceAccountToken"]
    assert token_request(_pod({"name": "v", "emptyDir": {}})) is None
