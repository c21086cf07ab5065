"""What DVC tracks becomes an artifact, from cache or remote; what does not fit is named, and nothing published."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from fairlead_artifacts import fetch
from fairlead_versioning.main import main

from tests.support.object_stores import ObjectStore
from tests.support.ports import free_port

from .conftest import FILES, Place, dvc, write


def read_files(place: Place) -> dict[str, str]:
    folder = place.folder / "fetched"
    fetch(place.uri, folder)
    return {file.relative_to(folder).as_posix(): file.read_text() for file in folder.rglob("*") if file.is_file()}


def test_a_folder_in_the_cache_becomes_a_dataset(place: Place) -> None:
    shutil.rmtree(place.remote)
    assert place.bring() == 0, place.errors()
    assert read_files(place) == {f"data/{name}": content for name, content in FILES.items()}
    manifest = place.manifest()
    assert (manifest.kind, manifest.parents) == ("dataset", ())
    (noted,) = manifest.parameters["dvc"]  # type: ignore[misc, union-attr]
    assert noted["file"] == "data.dvc"  # type: ignore[index, call-overload]
    first = manifest.digest
    assert place.bring() == 0
    assert place.manifest().digest == first


def test_what_the_cache_lacks_comes_from_a_remote_in_the_repository(place: Place) -> None:
    shutil.rmtree(place.cache)
    assert place.bring() == 0, place.errors()
    assert read_files(place)["data/train.csv"] == FILES["train.csv"]
    assert not place.cache.exists(), "the repository is only read"


def test_a_file_alone_comes_from_the_remote_that_the_caller_names(place: Place, tmp_path: Path) -> None:
    alone = tmp_path / "alone" / "data.dvc"
    alone.parent.mkdir()
    shutil.copyfile(place.tracked, alone)
    assert main(["import", str(alone), "--to", place.uri]) == 2
    assert "is neither in the cache nor in the remote" in place.errors()
    assert main(["import", str(alone), "--to", place.uri, "--remote", str(place.remote)]) == 0, place.errors()


def test_all_files_of_a_repository_become_one_dataset(place: Place) -> None:
    write(place.repository / "more", {"notes.txt": "hello\n"})
    dvc(place.repository, "add", "--quiet", "more/notes.txt")
    assert main(["import", str(place.repository), "--to", place.uri]) == 0, place.errors()
    assert read_files(place) == {
        "more/notes.txt": "hello\n", **{f"data/{name}": content for name, content in FILES.items()}
    }  # fmt: skip


def test_objects_come_from_a_remote_on_s3(
    place: Place, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in object_store.variables().items():
        monkeypatch.setenv(name, value)
    dvc(place.repository, "remote", "add", "--quiet", "--default", "far", "s3://dvc/data")
    dvc(place.repository, "remote", "modify", "far", "endpointurl", object_store.variables()["AWS_ENDPOINT_URL"])
    dvc(place.repository, "push", "--quiet")
    shutil.rmtree(place.cache)
    assert place.bring() == 0, place.errors()
    assert read_files(place)["data/deep/er/eval.csv"] == FILES["deep/er/eval.csv"]


def test_an_s3_remote_that_is_away_may_be_tried_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    shutil.rmtree(place.cache)
    assert place.bring("--remote", "s3://dvc/data") == 1
    message = place.errors()
    assert "s3://dvc/data: dvc fetch" in message
    assert "very-secret" not in message


@pytest.mark.parametrize("where", ["cache", "remote"])
def test_a_truncated_object_is_named_with_its_file(place: Place, where: str) -> None:
    if where == "remote":
        shutil.rmtree(place.cache)
    file = place.objects(getattr(place, where))[0]
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1])
    message = place.reject()
    assert "data.dvc: outs[0]: data/" in message
    assert "expected " + file.parent.name + file.name in message or "neither in the cache" in message


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_missing_object_is_fetched_or_named_with_its_file(place: Place, everywhere: bool) -> None:
    for root in (place.cache, *([place.remote] if everywhere else [])):
        place.objects(root)[0].unlink()
    if not everywhere:
        assert place.bring() == 0, place.errors()
        return
    message = place.reject()
    assert "data.dvc: outs[0]: data/" in message
    assert "is neither in the cache nor in the remote" in message


def test_a_list_that_was_changed_is_rejected(place: Place) -> None:
    (listed,) = place.cache.rglob("*.dir")
    listed.chmod(0o644)
    listed.write_bytes(listed.read_bytes() + b" ")
    message = place.reject()
    assert ".dir: its MD5 is" in message


@pytest.mark.parametrize(
    ("relpath", "message"),
    [
        ("../out", "relpath: got '../out', expected a path inside of its folder"),
        ("a/../../out", "expected a path inside of its folder"),
        ("/etc/passwd", "relpath: got '/etc/passwd', expected a relative path"),
        ("a//b", "expected a path inside of its folder"),
        ("C:\\x", "expected a relative path"),
        ("a\nb", "expected a relative path"),
    ],
)
def test_a_list_with_paths_outside_of_its_folder_is_rejected(place: Place, relpath: str, message: str) -> None:
    place.track([{"md5": "0" * 32, "relpath": relpath}])
    assert message in place.reject()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"out_path": "../data"}, "outs[0].path: got '../data', expected a path inside of its folder"),
        ({"out_path": "/etc"}, "outs[0].path: got '/etc', expected a relative path"),
        ({"out_path": "s3://bucket/data"}, "expected a relative path"),
        ({"wdir": ".."}, "wdir: got '..', expected none"),
        ({"out_md5": "../../../../etc/passwd"}, "outs[0].md5: got '../../../../etc/passwd', expected a string"),
        ({"out_size": 5}, "data: got 16 bytes, expected 5"),
        ({"out_nfiles": 7}, "has 3 files, expected 7"),
        ({"out_hash": "etag"}, "outs[0].hash: got 'etag', expected"),
        ({"outs": []}, "outs: got [], expected at least 1 items"),
        ({"outs": 5}, "outs: got 5, expected a list"),
    ],
)
def test_a_file_that_does_not_fit_is_rejected_by_field(place: Place, changes: dict[str, Any], message: str) -> None:
    place.change(**changes)
    found = place.reject()
    assert "data.dvc: " in found
    assert message in found


def test_a_file_of_dvc_2_is_rejected_with_what_helps(place: Place) -> None:
    place.tracked.write_text(f"outs:\n- md5: {'0' * 32}\n  path: data\n")
    assert "dvc cache migrate --dvc-files" in place.reject()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("outs: [", "is not YAML"),
        ("a: &a [1]\nouts: *a\n", "has an alias"),
        ("!!python/object/apply:os.system ['true']\n", "is not YAML"),
        ("- 1\n", "expected an object with outs"),
        ("x: " + "y" * 300_000, "got more than 262144 bytes"),
    ],
)
def test_a_file_that_is_none_is_rejected(place: Place, text: str, message: str) -> None:
    place.tracked.write_text(text)
    assert message in place.reject()


@pytest.mark.parametrize(
    "url", ["/etc", "../elsewhere", "../../../../etc", "ssh://host/x", "https://host/x", "file:///etc"]
)
def test_a_remote_outside_of_the_repository_is_only_the_callers_to_name(place: Place, url: str) -> None:
    shutil.rmtree(place.cache)
    # paths are relative to the configuration's folder
    named = f"../{url}" if url.startswith("..") else url
    config = place.repository / ".dvc" / "config"
    config.write_text(f"[core]\n    remote = near\n['remote \"near\"']\n    url = {named}\n")
    message = place.reject()
    assert ".dvc/config: remote 'near': got" in message
    assert "others are named with --remote" in message


def test_a_remote_that_would_change_our_configuration_is_rejected(place: Place) -> None:
    shutil.rmtree(place.cache)
    sly = place.repository / "x\n[core]\nanalytics = true"
    sly.mkdir()
    config = place.repository / ".dvc" / "config"
    config.write_text("[core]\nremote = near\n['remote \"near\"']\nurl = ../x\n  [core]\n  analytics = true\n")
    assert "expected a remote without quotes" in place.reject()


def test_two_outs_at_one_path_are_rejected(place: Place) -> None:
    document = place.tracked.read_text()
    place.tracked.write_text(document + document.removeprefix("outs:\n"))
    assert "is there twice" in place.reject()
