"""Errors that are specific to file systems."""

import os
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from fairlead_artifacts import (
    ArtifactError,
    Manifest,
    StoreUnavailable,
    fetch,
    list_artifacts,
    open_regular,
    publish,
    read_manifest,
)

from tests.support.outages import interrupt_store

publish_dataset = partial(publish, kind="dataset", producer="tests/1")


def test_a_link_in_the_folder_is_not_published(folder: Path, tmp_path: Path) -> None:
    (folder / "secret").symlink_to("/etc/passwd")
    with pytest.raises(ArtifactError, match="is a link or a device"):
        publish_dataset(folder, (tmp_path / "store").as_uri())


def test_a_link_in_the_store_is_not_followed_out_of_the_artifact(folder: Path, tmp_path: Path) -> None:
    publish_dataset(folder, (tmp_path / "store").as_uri())
    (tmp_path / "store" / "train.npz").unlink()
    (tmp_path / "store" / "train.npz").symlink_to(folder / "train.npz")
    with pytest.raises(ArtifactError, match="is a link"):
        fetch((tmp_path / "store").as_uri(), tmp_path / "copy")


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


IRREGULAR: dict[str, tuple[Callable[[Path], None], str]] = {
    "a named pipe": (os.mkfifo, "is a named pipe; expected a regular file"),
    "a socket": (make_socket, "is a socket or a device; expected a regular file"),
    "a folder": (Path.mkdir, "is a folder; expected a regular file"),
    "a link to itself": (lambda path: path.symlink_to(path), "symbolic links"),
    "a link to a device": (lambda path: path.symlink_to("/dev/zero"), "is a link to /dev/zero"),
}


@pytest.fixture(params=IRREGULAR)
def irregular(request: pytest.FixtureRequest) -> tuple[Callable[[Path], None], str]:
    """Return a function that makes something that is no regular file, and the error for it."""
    return IRREGULAR[request.param]


def test_a_manifest_that_is_no_file_is_rejected_and_left_out_of_a_list(
    folder: Path, tmp_path: Path, irregular: tuple[Callable[[Path], None], str]
) -> None:
    make, problem = irregular
    store = tmp_path / "store"
    published = publish_dataset(folder, (store / "v1").as_uri())
    (store / "foreign").mkdir()
    make(store / "foreign" / "manifest.json")
    with pytest.raises(ArtifactError, match=problem) as caught:
        read_manifest((store / "foreign").as_uri())
    assert not isinstance(caught.value, StoreUnavailable)
    skipped: list[ArtifactError] = []
    assert list(list_artifacts(store.as_uri(), skipped.append)) == [((store / "v1").as_uri(), published)]
    with pytest.raises(ArtifactError, match=problem):
        publish_dataset(folder, (store / "foreign").as_uri())


def test_a_data_file_that_is_no_file_is_rejected(
    folder: Path, tmp_path: Path, irregular: tuple[Callable[[Path], None], str]
) -> None:
    make, problem = irregular
    store = tmp_path / "store"
    publish_dataset(folder, store.as_uri())
    (store / "train.npz").unlink()
    make(store / "train.npz")
    with pytest.raises(ArtifactError, match=problem) as caught:
        fetch(store.as_uri(), tmp_path / "copy")
    assert not isinstance(caught.value, StoreUnavailable)
    assert not any((tmp_path / "copy").iterdir())


def test_a_file_that_is_replaced_by_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with open_regular(tmp_path / "file") as file:
        assert file.read() == b"x"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="named pipe"):
        open_regular(tmp_path / "pipe")


@pytest.mark.parametrize("name", ["manifest.json", "back\\slash", "new\nline"])
def test_a_file_name_that_could_mislead_a_reader_is_rejected(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / name).write_text("x")
    with pytest.raises(ArtifactError, match="file path"):
        publish_dataset(folder, (tmp_path / "store").as_uri())
    assert not (tmp_path / "store").exists()


def test_an_empty_or_absent_folder_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactError, match="contains no files"):
        publish_dataset(tmp_path / "empty", (tmp_path / "store").as_uri())
    with pytest.raises(ArtifactError, match="is not a folder"):
        publish_dataset(tmp_path / "absent", (tmp_path / "store").as_uri())


def test_a_location_with_other_files_is_left_unchanged(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "mine.txt").write_text("keep")
    with pytest.raises(ArtifactError, match="the location is in use"):
        publish_dataset(folder, (tmp_path / "store").as_uri())
    assert [file.name for file in (tmp_path / "store").iterdir()] == ["mine.txt"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["source", "store"]


def test_publishing_a_folder_onto_itself_is_rejected(folder: Path) -> None:
    with pytest.raises(ArtifactError, match="own folder"):
        publish_dataset(folder, folder.as_uri())


def test_parameters_that_are_not_json_are_rejected(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="not JSON"):
        publish_dataset(folder, (tmp_path / "store").as_uri(), parameters={"loss": float("nan")})


def test_an_unknown_kind_is_rejected(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="kind: got 'thing'"):
        publish(folder, (tmp_path / "store").as_uri(), kind="thing", producer="t/1")


def test_many_writers_of_one_content_all_succeed(folder: Path, tmp_path: Path) -> None:
    results: list[Manifest | ArtifactError] = []
    start = threading.Barrier(8)

    def write() -> None:
        start.wait()
        try:
            results.append(publish_dataset(folder, (tmp_path / "store").as_uri()))
        except ArtifactError as error:
            results.append(error)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [read_manifest((tmp_path / "store").as_uri())] * 8
    assert sorted(file.name for file in tmp_path.iterdir()) == ["source", "store"]


def test_of_writers_of_different_content_exactly_one_wins(folder: Path, tmp_path: Path) -> None:
    won, rejected = [], []
    start = threading.Barrier(6)

    def write(seed: int) -> None:
        start.wait()
        try:
            won.append(publish_dataset(folder, (tmp_path / "store").as_uri(), parameters={"seed": seed}))
        except ArtifactError as error:
            rejected.append(error)

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert len(rejected) == 5
    assert fetch((tmp_path / "store").as_uri(), tmp_path / "copy") == won[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_location_that_is_not_writable_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(ArtifactError, match="Permission denied"):
        publish_dataset(folder, (tmp_path / "locked" / "store").as_uri())


def test_spaces_and_umlauts_in_a_path_are_percent_encoded(folder: Path, tmp_path: Path) -> None:
    uri = (tmp_path / "größe 1" / "v1").as_uri()
    assert "%20" in uri
    published = publish_dataset(folder, uri)
    assert (tmp_path / "größe 1" / "v1" / "manifest.json").exists()
    assert read_manifest(uri) == published


def test_a_publication_is_retried_while_the_store_is_unavailable(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = (tmp_path / "store").as_uri()
    failed = interrupt_store(monkeypatch, uri)
    with pytest.raises(StoreUnavailable, match="made unavailable by a test"):
        publish_dataset(folder, uri)
    assert failed == ["read_manifest"]
    failed.clear()
    published = publish_dataset(folder, uri, retry_seconds=60)
    assert failed == ["read_manifest", "write"]
    assert read_manifest(uri) == published
