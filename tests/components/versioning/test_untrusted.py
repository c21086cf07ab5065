"""What a repository or file says is not trusted: what does not fit is named, and nothing published."""

import shutil
from typing import Any

import pytest
import yaml
from fairlead_artifacts import FileEntry, read_manifest
from fairlead_versioning.importing import digest_files
from fairlead_versioning.main import main
from fairlead_versioning.objects import hash_file

from .conftest import Place


@pytest.mark.parametrize(
    ("relpath", "message"),
    [
        ("../out", "relpath: got '../out', expected a path inside of its folder"),
        ("a/../../out", "expected a path inside of its folder"),
        ("/etc/passwd", "relpath: got '/etc/passwd', expected a relative path"),
        ("a//b", "expected a path inside of its folder"),
        ("C:\\x", "expected a relative path"),
        ("a\nb", "expected a relative path"),
        ("ä" * 128, "expected at most 1000 bytes, and 255 a segment"),
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
        ("2020-01-01: 1\n", "outs: got nothing"),
        ("outs:\n- {md5: 0x" + "f" * 9000 + ", hash: md5, path: data}\n", "outs[0].md5: got '0xfff"),
        ("outs: 9" + ":59" * 500 + ".0\n", "outs: got '9:59"),
        ("outs: !!float 1\n", "has a tag"),
        ("outs: !!timestamp 2020-01-01\n", "has a tag"),
        ('outs: "\\UFFFFFFFF"\n', "is not YAML"),
        ("? [1]\n: 1\n", "is not YAML"),
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


def test_a_path_that_is_a_file_and_a_folder_is_rejected(place: Place) -> None:
    md5 = hash_file(place.repository / "data" / "empty")
    place.track([{"md5": md5, "relpath": "a/b"}, {"md5": md5, "relpath": "a"}])
    message = place.reject()
    assert "outs[0]: data/a/b: expected a folder, but it is a file: " in message


def test_many_names_of_one_object_count_each(place: Place) -> None:
    md5 = hash_file(place.repository / "data" / "train.csv")
    place.track([{"md5": md5, "relpath": f"{number}"} for number in range(300)])
    assert "got 2,400 bytes of files, expected at most 2,000 (--max-bytes)" in place.reject("--max-bytes", "2000")
    assert place.bring("--max-bytes", "2400") == 0, place.errors()


def test_declared_sizes_are_checked_before_anything_is_fetched(place: Place) -> None:
    shutil.rmtree(place.cache)
    shutil.rmtree(place.remote)
    place.change(out_size=200 << 30)
    assert "expected at most 107,374,182,400" in place.reject()


def test_the_files_of_all_outs_are_counted_together(place: Place) -> None:
    place.track([{"md5": "0" * 32, "relpath": f"{number}"} for number in range(13_000)])
    document = yaml.safe_load(place.tracked.read_text())
    document["outs"].append(document["outs"][0] | {"path": "again"})
    place.tracked.write_text(yaml.safe_dump(document))
    assert "outs[1]: got 26,000 files so far, expected at most 25,000" in place.reject()


def test_what_a_file_says_of_its_artifact_is_a_claim_and_no_parent(place: Place) -> None:
    assert place.bring() == 0, place.errors()
    entries = [FileEntry(file.path.removeprefix("data/"), file.size, file.sha256) for file in place.manifest().files]
    invented = {"uri": "s3://trusted/dataset", "digest": f"sha256:{'0' * 64}"}
    place.change(meta={"fairlead": invented | {"files": digest_files(entries)}})
    uri = f"{place.uri}-claimed"
    assert main(["import", str(place.tracked), "--to", uri]) == 0, place.errors()
    manifest = read_manifest(uri)
    assert manifest.parents == ()
    (noted,) = manifest.parameters["dvc"]  # type: ignore[misc, union-attr]
    assert noted["claimed"] == invented  # type: ignore[index, call-overload]
