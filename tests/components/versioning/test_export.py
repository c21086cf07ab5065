"""An artifact's files are added by DVC, and come back the same; a repository where it fails is as it was."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fairlead_artifacts import read_manifest
from fairlead_versioning.main import main
from fairlead_versioning.placing import put_in_place

from tests.support.object_stores import ObjectStore

from .conftest import FILES, Place, dvc, write


def snapshot(place: Place) -> dict[str, bytes]:
    """Return the repository's files, without the objects that DVC may have cached."""
    return {
        file.relative_to(place.repository).as_posix(): file.read_bytes()
        for file in place.repository.rglob("*")
        if file.is_file() and not {"cache", "tmp"} & set(file.relative_to(place.repository).parts)
    }


def test_an_artifact_goes_to_dvc_and_comes_back_the_same(place: Place) -> None:
    uri = place.publish(FILES, "given")
    assert place.send("--push", uri=uri) == 0, place.errors()
    dvc(place.repository, "status", "--quiet", "sent.dvc")
    shutil.rmtree(place.repository / "sent")
    shutil.rmtree(place.cache)
    dvc(place.repository, "pull", "--quiet", "sent.dvc")
    assert (place.repository / "sent" / "deep" / "er" / "eval.csv").read_text() == FILES["deep/er/eval.csv"]
    assert main(["import", str(place.repository / "sent.dvc"), "--to", place.uri]) == 0, place.errors()
    given, back = read_manifest(uri), place.manifest()
    assert [(f"sent/{file.path}", file.sha256) for file in given.files] == [
        (file.path, file.sha256) for file in back.files
    ]
    (noted,) = back.parameters["dvc"]  # type: ignore[misc, union-attr]
    assert noted["claimed"] == {"uri": uri, "digest": given.digest}  # type: ignore[index, call-overload]


def test_an_artifact_goes_to_a_remote_on_s3(
    place: Place, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in object_store.variables().items():
        monkeypatch.setenv(name, value)
    dvc(place.repository, "remote", "add", "--quiet", "--default", "far", "s3://dvc/sent")
    assert place.send("--push", uri=place.publish(FILES, "given")) == 0, place.errors()
    names = [each.object_name for each in object_store.client.list_objects("dvc", "sent/", recursive=True)]
    assert len(names) == len(FILES) + 1


def test_a_push_goes_only_where_the_environment_says(
    place: Place, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in object_store.variables().items():
        monkeypatch.setenv(name, value)
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        dvc(place.repository, "remote", "add", "--quiet", "--default", "far", "s3://dvc/sent-only")
        url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}"
        dvc(place.repository, "remote", "modify", "far", "endpointurl", url)
        dvc(place.repository, "remote", "modify", "far", "read_timeout", "2")
        assert place.send("--push", uri=place.publish(FILES, "given")) == 0, place.errors()
        with pytest.raises(BlockingIOError):
            elsewhere.accept()
    assert list(object_store.client.list_objects("dvc", "sent-only/", recursive=True))


def test_a_failed_push_changes_nothing_and_says_why(place: Place) -> None:
    shutil.rmtree(place.remote)
    place.remote.write_text("no folder")
    uri, before = place.publish(FILES, "given"), snapshot(place)
    assert place.send("--push", uri=uri) == 1
    message = place.errors()
    assert f"{place.remote}: dvc push exited with" in message
    assert "Not a directory" in message
    assert snapshot(place) == before


def test_files_that_are_not_the_noted_artifacts_are_rejected_on_their_way_back(place: Place) -> None:
    assert place.send(uri=place.publish(FILES, "given")) == 0, place.errors()
    (place.repository / "sent" / "train.csv").write_text("changed\n")
    dvc(place.repository, "add", "--quiet", "sent")
    assert main(["import", str(place.repository / "sent.dvc"), "--to", place.uri]) == 2
    assert "meta.fairlead.files: its files have the digest" in place.errors()


def test_a_damaged_artifact_leaves_the_repository_as_it_was(place: Place) -> None:
    uri, before = place.publish(FILES, "given"), snapshot(place)
    Path(uri.removeprefix("file://"), "train.csv").write_text("old\n")
    assert place.send(uri=uri) == 2
    assert "train.csv" in place.errors()
    assert snapshot(place) == before


def test_where_dvc_fails_the_repository_is_as_it_was(place: Place) -> None:
    uri, before = place.publish({".dvcignore": "*.csv\n", "train.csv": "1\n"}, "given"), snapshot(place)
    assert place.send(uri=uri) == 2
    assert "dvc add exited with 255: ERROR: " in place.errors()
    assert snapshot(place) == before


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("data", "is there, expected a new path"),
        ("data/more", "is tracked by DVC"),
        ("notes.txt", "is there, expected a new path"),
        ("notes.txt/more", "is a link or a file"),
        ("mine", "is there, expected a new path"),
        ("gone", "gone.dvc: is there, expected a new path"),
    ],
)
def test_nothing_is_replaced(place: Place, path: str, why: str) -> None:
    # what is tracked, and has changes that DVC has not stored; a file; what is not tracked; what is not checked out
    write(place.repository, {"data/train.csv": "changed\n", "notes.txt": "1", "mine/file": "2"})
    shutil.copyfile(place.tracked, place.repository / "notes.txt.dvc")
    shutil.copyfile(place.tracked, place.repository / "gone.dvc")
    uri, before = place.publish(FILES, "given"), snapshot(place)
    assert place.send(uri=uri, path=path) == 2
    assert why in place.errors()
    assert snapshot(place) == before


def test_a_cache_elsewhere_is_rejected_by_its_setting(place: Place) -> None:
    dvc(place.repository, "cache", "dir", str(place.folder / "cache"))
    assert place.send(uri=place.publish(FILES, "given")) == 2
    assert ".dvc/config: cache.dir: got " in place.errors()


def test_git_ignores_the_folder(place: Place) -> None:
    (place.repository / ".git").mkdir()
    (place.repository / ".gitignore").write_text("/mine")
    assert place.send(uri=place.publish(FILES, "given")) == 0, place.errors()
    assert (place.repository / ".gitignore").read_text() == "/mine\n/sent\n"


def test_a_gitignore_that_is_no_file_is_an_error_before_anything_changes(place: Place) -> None:
    (place.repository / ".git").mkdir()
    os.mkfifo(place.repository / ".gitignore")
    uri, before = place.publish(FILES, "given"), snapshot(place)
    assert place.send(uri=uri) == 2
    assert ".gitignore: is a named pipe" in place.errors()
    assert snapshot(place) == before


def test_what_comes_to_the_place_meanwhile_is_kept_and_the_export_undone(tmp_path: Path) -> None:
    write(tmp_path, {"made/file": "1", "deep/sent.dvc": "mine"})
    with pytest.raises(FileExistsError):
        put_in_place(tmp_path / "made", b"ours", tmp_path / "deep" / "sent", tmp_path)
    assert (tmp_path / "deep" / "sent.dvc").read_text() == "mine"
    assert not (tmp_path / "deep" / "sent").exists()
    write(tmp_path, {"deep/sent/file": "mine"})
    with pytest.raises(OSError, match="not empty"):
        put_in_place(tmp_path / "made", b"ours", tmp_path / "deep" / "sent", tmp_path)
    assert (tmp_path / "deep" / "sent" / "file").read_text() == "mine"


def test_sigterm_ends_dvc_and_leaves_the_repository_as_it_was(place: Place) -> None:
    uri, before = place.publish(FILES, "given"), snapshot(place)
    command = [sys.executable, "-m", "fairlead_versioning.main", "export", uri, "--path", "sent"]
    with subprocess.Popen([*command, "--repository", str(place.repository)]) as process:
        started = _wait_for_dvc(process.pid)
        process.terminate()
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert not Path("/proc", str(started)).exists(), "DVC goes on"
    assert snapshot(place) == before
    assert not list((place.repository / ".dvc").glob("fairlead-*"))


def _wait_for_dvc(pid: int) -> int:
    """Return the process that runs `dvc add`."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                if b"\0add\0" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
        time.sleep(0.05)
    raise AssertionError("dvc add has not been started")


def test_what_an_ended_export_has_left_is_reported_with_its_place(place: Place) -> None:
    left = place.repository / ".dvc" / "fairlead-left"
    left.mkdir()
    assert place.send(uri=place.publish(FILES, "given")) == 0
    assert f"{left}: is of an export that is running, or was ended" in place.errors()
    assert left.exists()


@pytest.mark.parametrize("path", ["../out", "/etc/x", ".dvc/x", "a/.git/x", "", "a//b", "a/b:c", "x" * 253])
def test_paths_outside_of_the_repository_are_rejected(place: Place, path: str) -> None:
    assert place.send(uri=place.publish(FILES, "given"), path=path) == 2
    assert "--path: got" in place.errors()


def test_a_link_in_the_path_is_rejected(place: Place) -> None:
    (place.repository / "linked").symlink_to(place.folder)
    assert place.send(uri=place.publish(FILES, "given"), path="linked/sent") == 2
    assert "is a link" in place.errors()
    assert not (place.folder / "sent").exists()
