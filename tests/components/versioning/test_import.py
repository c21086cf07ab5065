"""What DVC tracks becomes an artifact, from cache or remote; what does not fit is named, and nothing published."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from fairlead_artifacts import fetch
from fairlead_versioning import own_repository
from fairlead_versioning.dvc_command import run_dvc
from fairlead_versioning.main import main
from fairlead_versioning.remotes import lacks_objects

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


def test_dvc_is_started_once_for_all_outs_of_a_remote(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    write(place.repository, {"one.txt": "1\n", "two.txt": "2\n"})
    dvc(place.repository, "add", "--quiet", "one.txt", "two.txt")
    dvc(place.repository, "push", "--quiet")
    shutil.rmtree(place.cache)
    started = list[str]()

    def run(folder: Path, *words: str, **options: Any) -> str:
        started.append(words[0])
        return run_dvc(folder, *words, **options)

    monkeypatch.setattr(own_repository, "run_dvc", run)
    assert main(["import", str(place.repository), "--to", place.uri]) == 0, place.errors()
    assert started == ["init", "fetch"]
    assert read_files(place)["two.txt"] == "2\n"


def test_a_bucket_that_is_missing_is_no_missing_object(
    place: Place, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in object_store.variables().items():
        monkeypatch.setenv(name, value)
    # for a single object, S3 answers as if only this were missing
    write(place.repository, {"one.txt": "1\n"})
    dvc(place.repository, "add", "--quiet", "one.txt")
    shutil.rmtree(place.cache)
    assert main(["import", str(place.repository), "--to", place.uri, "--remote", "s3://no-such-bucket/data"]) == 1
    assert "The specified bucket does not exist" in place.errors()


def test_credentials_that_are_missing_are_no_missing_object(
    place: Place, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", object_store.variables()["AWS_ENDPOINT_URL"])
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(place.folder))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    shutil.rmtree(place.cache)
    assert place.bring("--remote", "s3://dvc/data") == 1
    assert "Unable to locate credentials" in place.errors()


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        (f"ERROR: failed to transfer '{'0' * 32}' - [Errno 2] No such file or directory: '/x/files/md5/00/0'", True),
        (f"ERROR: failed to transfer '{'0' * 32}' - [Errno 28] No space left on device", False),
        ("ERROR: unexpected error - [Errno 2] No such file or directory: '/root/.aws/files/md5/key'", False),
        ("ERROR: failed to connect to s3 (x/files/md5) - missing credentials", False),
    ],
)
def test_only_objects_are_missing_objects(line: str, missing: bool) -> None:
    assert lacks_objects([line, "ERROR: failed to fetch data from the cloud - 1 files failed to download"]) == missing


def test_a_result_that_cannot_be_written_is_an_error_of_this_machine(place: Place) -> None:
    assert place.bring("--out", str(place.tracked / "out.json")) == 1
    assert "data.dvc: File exists" in place.errors()
