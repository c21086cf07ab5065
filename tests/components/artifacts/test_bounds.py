"""Documents that are no manifests, manifests out of bounds, and errors of this machine's file system."""

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fairlead_artifacts import ArtifactError, StoreUnavailable, fetch, list_artifacts, publish, read_manifest
from fairlead_artifacts.cli import main
from fairlead_artifacts.manifest import MAX_BYTES, SCHEMA

from .test_store import overwrite

publish_dataset = partial(publish, kind="dataset", producer="tests/1")
FILE = {"path": "a", "size": 1, "sha256": "ab" * 32}
DOCUMENT: dict[str, Any] = {"schema": SCHEMA, "kind": "dataset", "producer": "p", "files": [FILE], "parents": [],
                            "parameters": {}, "signature": None}  # fmt: skip


def canonical(**changes: Any) -> bytes:
    return json.dumps(DOCUMENT | changes, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


FOREIGN = {
    "not JSON": b"<html>",
    "not UTF-8": b"\xff\xfe",
    "another program's": json.dumps({"name": "web app", "icons": []}).encode(),
    "nested deeply": b"[" * 200_000,
    "NaN": canonical(parameters={"x": float("nan")}),
    "infinite": canonical(parameters={"x": 1}).replace(b'"x":1', b'"x":1e999'),
    "half a character": canonical(producer="\ud800"),
    "half a character, escaped": json.dumps(DOCUMENT | {"parameters": {"x": "\ud800"}}, sort_keys=True).encode(),
    "a huge number": b'{"schema": 1' + b"0" * 10_000 + b"}",
    "a digest that is a number": canonical(files=[FILE | {"sha256": int("1" * 64)}]),
    "a file in a file": canonical(files=[FILE, FILE | {"path": "a/b"}]),
    "too long": b" " * (MAX_BYTES + 1),
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_manifest_is_an_artifact_error_and_does_not_break_a_list(
    base: str, folder: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_dataset(folder, f"{base}/a")
    publish_dataset(folder, f"{base}/b")
    published = publish_dataset(folder, f"{base}/c")
    overwrite(f"{base}/b", "manifest.json", content)
    with pytest.raises(ArtifactError) as caught:
        read_manifest(f"{base}/b")
    assert len(str(caught.value)) < 1000
    assert [uri for uri, _ in list_artifacts(base)] == [f"{base}/a", f"{base}/c"]
    assert main(["ls", base]) == 0
    captured = capsys.readouterr()
    assert captured.out.count(published.digest[:19]) == 2
    assert captured.err.startswith(f"fairlead-artifacts: skipped {base}/b: manifest.json")


def test_a_manifest_that_readers_would_reject_is_not_published(base: str, folder: Path) -> None:
    with pytest.raises(ArtifactError, match=f"larger than {MAX_BYTES} bytes"):
        publish_dataset(folder, f"{base}/v1", parameters={"text": "x" * MAX_BYTES})


def test_the_name_of_the_writers_claim_is_reserved(base: str, folder: Path) -> None:
    (folder / ".fairlead-writer").write_text("{}")
    with pytest.raises(ArtifactError, match=r"'\.fairlead-writer': this name is reserved"):
        publish_dataset(folder, f"{base}/v1")


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let writes beyond a file's size fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_reported_as_such_and_not_as_an_unavailable_store(
    base: str, folder: Path, tmp_path: Path
) -> None:
    publish_dataset(folder, f"{base}/v1")
    with largest_file(4096), pytest.raises(ArtifactError) as caught:
        fetch(f"{base}/v1", tmp_path / "copy")
    assert not isinstance(caught.value, StoreUnavailable)
    assert str(caught.value) == f"{tmp_path}/copy/train.npz: this machine's file system: File too large"
    assert list((tmp_path / "copy").iterdir()) == []
