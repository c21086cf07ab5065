"""Rewriting of mount paths in a container's inputs."""

from pathlib import Path

import pytest
from fairlead_cluster.local.node.paths import Mounts, plain_path

MOUNTS = Mounts({"/data": Path("/disk/d"), "/data/sub/": Path("/disk/s"), "/dev/termination-log": Path("/disk/t")})


@pytest.mark.parametrize(
    ("text", "expected", "reason"),
    [
        ("/data", "/disk/d", "the mount path itself"),
        ("/data/x/y.txt", "/disk/d/x/y.txt", "a path below it"),
        ("/data/sub/x", "/disk/s/x", "the longest mount path wins"),
        ("/database", "/database", "another name that begins alike"),
        ("/data-2 /data.old /data_1", "/data-2 /data.old /data_1", "other names that begin alike"),
        ("/mnt/data/x", "/mnt/data/x", "a path that holds the name further down"),
        ("file:///data/x", "file:///data/x", "a URI is not a path of the container"),
        ("--out=/data/x", "--out=/disk/d/x", "after an equals sign"),
        ("/usr:/data:/data/sub", "/usr:/disk/d:/disk/s", "in a search path"),
        ("cat /data/a > '/data/b'", "cat /disk/d/a > '/disk/d/b'", "in a shell command"),
        ("/dev/termination-log", "/disk/t", "the termination message's file"),
    ],
)
def test_paths_below_mount_paths_are_rewritten(text: str, expected: str, reason: str) -> None:
    assert MOUNTS.translate(text) == expected, reason


def test_without_mounts_nothing_changes() -> None:
    assert Mounts({}).translate("/data") == "/data"


def test_a_folder_with_spaces_has_a_path_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / "a home" / "pods"
    folder.mkdir(parents=True)
    (folder / "file").write_text("x")
    path = plain_path(folder)
    assert " " not in str(path)
    assert (path / "file").read_text() == "x"
    assert plain_path(folder) == path
    assert plain_path(tmp_path) == tmp_path
