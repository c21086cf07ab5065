"""An artifact's files are added by DVC, and come back the same; a repository where it fails is as it was."""

import shutil
from pathlib import Path

import pytest
import yaml
from fairlead_artifacts import read_manifest
from fairlead_versioning.main import main

from tests.support.object_stores import ObjectStore

from .conftest import FILES, Place, dvc


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
    assert [(parent.digest, parent.uri) for parent in back.parents] == [(given.digest, uri)]


def test_an_artifact_goes_to_a_remote_on_s3(
    place: Place, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in object_store.variables().items():
        monkeypatch.setenv(name, value)
    dvc(place.repository, "remote", "add", "--quiet", "--default", "far", "s3://dvc/sent")
    dvc(place.repository, "remote", "modify", "far", "endpointurl", object_store.variables()["AWS_ENDPOINT_URL"])
    assert place.send("--push", uri=place.publish(FILES, "given")) == 0, place.errors()
    names = [each.object_name for each in object_store.client.list_objects("dvc", "sent/", recursive=True)]
    assert len(names) == len(FILES) + 1


def test_the_next_version_takes_the_place_of_the_one_before(place: Place) -> None:
    assert place.send(uri=place.publish(FILES, "v1")) == 0, place.errors()
    assert place.send(uri=place.publish({"train.csv": "new\n"}, "v2")) == 0, place.errors()
    assert [file.name for file in (place.repository / "sent").iterdir()] == ["train.csv"]
    document = yaml.safe_load((place.repository / "sent.dvc").read_text())
    assert document["meta"]["fairlead"]["digest"] == read_manifest(f"{place.folder.as_uri()}/store/v2").digest


def test_files_that_are_not_the_noted_artifacts_are_rejected_on_their_way_back(place: Place) -> None:
    assert place.send(uri=place.publish(FILES, "given")) == 0, place.errors()
    (place.repository / "sent" / "train.csv").write_text("changed\n")
    dvc(place.repository, "add", "--quiet", "sent")
    assert main(["import", str(place.repository / "sent.dvc"), "--to", place.uri]) == 2
    assert "meta.fairlead.files: its files have the digest" in place.errors()


def test_a_damaged_artifact_leaves_the_repository_as_it_was(place: Place) -> None:
    uri = place.publish(FILES, "given")
    assert place.send(uri=uri) == 0, place.errors()
    before = snapshot(place)
    worse = place.publish({"train.csv": "new\n"}, "worse")
    Path(worse.removeprefix("file://"), "train.csv").write_text("old\n")
    assert place.send(uri=worse) == 2
    assert "train.csv" in place.errors()
    assert snapshot(place) == before


def test_where_dvc_fails_the_repository_is_as_it_was(place: Place) -> None:
    assert place.send(uri=place.publish(FILES, "given")) == 0, place.errors()
    (place.repository / "dvc.yaml").write_text("stages: 5\n")
    before = snapshot(place)
    assert place.send(uri=place.publish({"train.csv": "new\n"}, "v2")) == 2
    assert "dvc add exited with" in place.errors()
    assert snapshot(place) == before


def test_what_dvc_does_not_track_is_not_overwritten(place: Place) -> None:
    (place.repository / "sent").mkdir()
    (place.repository / "sent" / "mine").write_text("mine")
    assert place.send(uri=place.publish(FILES, "given")) == 2
    assert "is there and not tracked by DVC" in place.errors()
    assert (place.repository / "sent" / "mine").read_text() == "mine"


@pytest.mark.parametrize("path", ["../out", "/etc/x", ".dvc/x", "", "a//b"])
def test_paths_outside_of_the_repository_are_rejected(place: Place, path: str) -> None:
    assert place.send(uri=place.publish(FILES, "given"), path=path) == 2
    assert "--path: got" in place.errors()


def test_a_link_in_the_path_is_rejected(place: Place) -> None:
    (place.repository / "linked").symlink_to(place.folder)
    assert place.send(uri=place.publish(FILES, "given"), path="linked/sent") == 2
    assert "is a link" in place.errors()
    assert not (place.folder / "sent").exists()
