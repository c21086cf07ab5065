"""The contract of stores, tested on every store."""

import io
import json
from functools import partial
from pathlib import Path

import pytest
from fairlead_artifacts import (
    ArtifactError,
    ArtifactNotFound,
    JsonValue,
    Manifest,
    Parent,
    delete,
    fetch,
    list_artifacts,
    parse_uri,
    publish,
    read_manifest,
    validation_uri,
)
from fairlead_artifacts.s3_store import S3Store

publish_dataset = partial(publish, kind="dataset", producer="tests/1")


def overwrite(uri: str, path: str, content: bytes | None) -> None:
    """Change a published file directly in the store; None deletes it."""
    location = parse_uri(uri)
    if location.scheme == "file":
        file = Path(location.path, path)
        file.unlink() if content is None else file.write_bytes(content)
        return
    client, name = S3Store.from_environment()._client, f"{location.path}/{path}"
    if content is None:
        client.remove_object(location.bucket, name)
    else:
        client.put_object(location.bucket, name, io.BytesIO(content), len(content))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_what_was_published_is_fetched(base: str, folder: Path, tmp_path: Path) -> None:
    published = publish_dataset(folder, f"{base}/v1", parameters={"seed": 7, "größe": 1.5})
    fetched = fetch(f"{base}/v1", tmp_path / "copy", published.digest)
    assert fetched == published == read_manifest(f"{base}/v1")
    assert contents(tmp_path / "copy") == contents(folder)
    assert [entry.path for entry in fetched.files] == ["sub/names.csv", "train.npz"]
    assert fetched.parameters == {"seed": 7, "größe": 1.5}


def test_equal_content_and_provenance_have_an_equal_digest_anywhere(base: str, folder: Path) -> None:
    parents = [Parent("b", "sha256:" + "1" * 64, "file:///b"), Parent("a", "sha256:" + "2" * 64, "file:///a")]
    first = publish_dataset(folder, f"{base}/v1", parents=parents)
    second = publish_dataset(folder, f"{base}/elsewhere/v1", parents=reversed(parents))
    other = publish_dataset(folder, f"{base}/v2")
    assert first.digest == second.digest != other.digest


def test_publishing_equal_content_again_is_a_no_op(base: str, folder: Path, tmp_path: Path) -> None:
    first = publish_dataset(folder, f"{base}/v1")
    assert publish_dataset(folder, f"{base}/v1") == first
    fetch(f"{base}/v1", tmp_path / "copy", first.digest)


def test_other_content_at_a_taken_uri_is_rejected_and_changes_nothing(base: str, folder: Path, tmp_path: Path) -> None:
    first = publish_dataset(folder, f"{base}/v1")
    (folder / "train.npz").write_bytes(b"other")
    with pytest.raises(ArtifactError, match=f"has other content .{first.digest}"):
        publish_dataset(folder, f"{base}/v1")
    assert fetch(f"{base}/v1", tmp_path / "copy") == first


def test_replace_publishes_other_content(base: str, folder: Path, tmp_path: Path) -> None:
    publish_dataset(folder, f"{base}/v1")
    (folder / "train.npz").unlink()
    (folder / "new.bin").write_bytes(b"")
    second = publish_dataset(folder, f"{base}/v1", replace=True)
    assert fetch(f"{base}/v1", tmp_path / "copy") == second
    assert sorted(contents(tmp_path / "copy")) == ["new.bin", "sub/names.csv"]


def test_a_missing_artifact_is_not_found(base: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactNotFound, match="no artifact found"):
        fetch(f"{base}/absent", tmp_path / "copy")


def test_files_without_a_manifest_are_not_an_artifact(base: str, folder: Path) -> None:
    publish_dataset(folder, f"{base}/v1")
    overwrite(f"{base}/v1", "manifest.json", None)
    with pytest.raises(ArtifactNotFound):
        read_manifest(f"{base}/v1")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x01\x00" * 70_000, "got sha256:.*expected sha256:.*as in the manifest"),
        (b"short", "got 5 bytes, expected 140000 bytes as in the manifest"),
        (b"\x00\x01" * 70_001, "got more than 140000 bytes"),
        (None, "file 'train.npz' of the manifest is missing"),
    ],
    ids=["changed", "truncated", "longer", "missing"],
)
def test_a_changed_file_is_rejected_and_the_folder_is_left_empty(
    base: str, folder: Path, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    publish_dataset(folder, f"{base}/v1")
    overwrite(f"{base}/v1", "train.npz", content)
    with pytest.raises(ArtifactError, match=reason):
        fetch(f"{base}/v1", tmp_path / "copy")
    assert list((tmp_path / "copy").iterdir()) == []


def test_another_digest_than_the_pinned_one_is_rejected(base: str, folder: Path, tmp_path: Path) -> None:
    published = publish_dataset(folder, f"{base}/v1")
    pinned = "sha256:" + "0" * 64
    with pytest.raises(ArtifactError, match=f"digest is {published.digest}, expected {pinned}"):
        fetch(f"{base}/v1", tmp_path / "copy", pinned)
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"files": [{"path": "../../etc/passwd", "size": 1, "sha256": "0" * 64}]}, "no segment that is empty"),
        ({"files": [{"path": "/etc/passwd", "size": 1, "sha256": "0" * 64}]}, "expected a relative path"),
        ({"files": [{"path": "a", "size": -1, "sha256": "0" * 64}]}, r"files\[0\].size: got -1"),
        ({"files": [{"path": "a", "size": 1, "sha256": "xyz"}]}, r"files\[0\].sha256"),
        ({"files": [{"path": "a", "size": 1, "sha256": "0" * 64}] * 2}, "duplicate paths"),
        ({"files": None}, "files: got None, expected a list"),
        ({"kind": "virus"}, "kind: got 'virus', expected one of dataset"),
        ({"schema": "v2"}, "schema: got 'v2'"),
        ({"parents": [{"name": "a", "digest": "md5:1", "uri": "b"}]}, r"parents\[0\].digest"),
        ({"signature": {"inputs": [{"name": "x", "dtype": "FP32", "shape": [-2]}], "outputs": []}}, "shape"),
        ({"surprise": 1}, "canonical JSON of the known fields"),
    ],
)
def test_a_malformed_manifest_is_rejected(
    base: str, folder: Path, tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    document = json.loads(publish_dataset(folder, f"{base}/v1").content) | change
    forged = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    overwrite(f"{base}/v1", "manifest.json", forged)
    with pytest.raises(ArtifactError, match=reason):
        fetch(f"{base}/v1", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"kind": "dataset"}', b"\xff"])
def test_an_invalid_manifest_file_is_rejected(base: str, folder: Path, content: bytes) -> None:
    publish_dataset(folder, f"{base}/v1")
    overwrite(f"{base}/v1", "manifest.json", content)
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        read_manifest(f"{base}/v1")


def test_fetching_into_a_folder_with_files_is_rejected_and_keeps_them(base: str, folder: Path) -> None:
    publish_dataset(folder, f"{base}/v1")
    before = contents(folder)
    with pytest.raises(ArtifactError, match="is not an empty folder"):
        fetch(f"{base}/v1", folder)
    assert contents(folder) == before


def test_list_finds_every_artifact_below(base: str, folder: Path) -> None:
    for name in ("digits/v1", "digits/v2", "other"):
        publish_dataset(folder, f"{base}/{name}")
    assert [uri for uri, _ in list_artifacts(f"{base}/digits")] == [f"{base}/digits/v1", f"{base}/digits/v2"]


def test_a_failed_validation_result_is_replaced_by_a_passing_one(base: str, folder: Path, tmp_path: Path) -> None:
    dataset = publish_dataset(folder, f"{base}/v1")
    result = tmp_path / "result"
    result.mkdir()
    (result / "result.json").write_text("{}")
    uri = validation_uri(f"{base}/v1", dataset.digest)

    def write(success: bool) -> Manifest:
        failed: list[JsonValue] = [] if success else ["column x: out of range"]
        parameters: dict[str, JsonValue] = {"success": success, "suite": "digits", "failed": failed}
        parents = [Parent("dataset", dataset.digest, f"{base}/v1")]
        return publish(
            result, uri, kind="validation", producer="t/1", parents=parents, parameters=parameters, replace=True
        )

    assert write(False).digest != write(True).digest
    assert read_manifest(uri).parameters["success"] is True
    assert read_manifest(f"{base}/v1") == dataset


def test_a_deleted_artifact_is_absent_and_its_place_is_free(base: str, folder: Path, tmp_path: Path) -> None:
    first = publish(folder, f"{base}/a", kind="checkpoint", producer="test")
    publish(folder, f"{base}/b", kind="checkpoint", producer="test")
    delete(f"{base}/a")
    delete(f"{base}/a")
    assert [uri for uri, _ in list_artifacts(base)] == [f"{base}/b"]
    with pytest.raises(ArtifactNotFound):
        fetch(f"{base}/a", tmp_path / "copy")
    (folder / "more").write_text("x")
    assert publish(folder, f"{base}/a", kind="checkpoint", producer="test").digest != first.digest


def test_an_artifact_with_another_digest_is_not_deleted(base: str, folder: Path) -> None:
    manifest = publish(folder, f"{base}/a", kind="checkpoint", producer="test")
    with pytest.raises(ArtifactError, match=f"digest is {manifest.digest}, expected sha256:0000"):
        delete(f"{base}/a", "sha256:" + "0" * 64)
    assert [uri for uri, _ in list_artifacts(base)] == [f"{base}/a"]


def test_only_the_named_files_of_a_folder_are_published(base: str, folder: Path, tmp_path: Path) -> None:
    published = publish_dataset(folder, f"{base}/v1", files=["sub/names.csv"])
    assert [entry.path for entry in published.files] == ["sub/names.csv"]
    fetch(f"{base}/v1", tmp_path / "copy")
    assert contents(tmp_path / "copy") == {"sub/names.csv": b"a,b\n1,2\n"}


def test_named_files_behind_links_and_absent_ones_are_rejected(base: str, folder: Path, tmp_path: Path) -> None:
    (folder / "out").symlink_to(tmp_path)
    (folder / "copy.csv").symlink_to(folder / "sub" / "names.csv")
    (tmp_path / "secret").write_text("s")
    for path, problem in (
        ("out/secret", "out is a link"),
        ("copy.csv", "copy.csv is a link"),
        ("../source/train.npz", "no segment that is empty, '.' or '..'"),
        ("absent", "absent is no file"),
        ("sub", "sub is no file"),
    ):
        with pytest.raises(ArtifactError, match=problem):
            publish_dataset(folder, f"{base}/v1", files=[path])
    with pytest.raises(ArtifactError, match="got no files"):
        publish_dataset(folder, f"{base}/v1", files=[])
    with pytest.raises(ArtifactNotFound):
        read_manifest(f"{base}/v1")


def test_every_byte_is_reported_once_as_it_is_hashed_and_once_as_it_is_written(base: str, folder: Path) -> None:
    chunks: list[int] = []
    published = publish_dataset(folder, f"{base}/v1", on_bytes=chunks.append)
    assert sum(chunks) == 2 * published.size
    chunks.clear()
    publish_dataset(folder, f"{base}/v1", on_bytes=chunks.append)
    assert sum(chunks) == published.size  # equal content is only hashed
