"""`fairlead dataset publish`."""

import json
from pathlib import Path

import pytest
from fairlead.cli.main import build_app
from fairlead_artifacts import ArtifactNotFound, fetch, read_manifest
from typer.testing import CliRunner, Result

from .conftest import Write


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"file://{tmp_path}/store/houses/v1"


def publish(*words: str) -> Result:
    return CliRunner().invoke(build_app(), ["dataset", "publish", *words], env={"COLUMNS": "120"})


def test_a_table_becomes_a_dataset_that_a_job_can_fetch(write: Write, uri: str, tmp_path: Path) -> None:
    file = write({"houses.csv": "size,price\n1,2\n3,4\n", "unrelated.txt": "u"}) / "houses.csv"
    result = publish(str(file), uri, "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    manifest = fetch(uri, tmp_path / "copy", facts["digest"])
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["houses.csv"]
    assert manifest.kind == "dataset"
    assert manifest.parameters == {"format": "csv", "rows": 2, "columns": ["size", "price"]}
    assert facts == {"uri": uri, "digest": manifest.digest, "files": 1, "bytes": 19, **manifest.parameters}


def test_the_summary_has_what_was_published_and_the_lines_for_a_job(write: Write, uri: str) -> None:
    result = publish(str(write({"a.csv": "x,[y]\n1,2\n", "sub/b.bin": b"\0" * 2000, "sub/c.bin": "c"})), uri)
    assert result.exit_code == 0, result.output
    words = " ".join(result.stdout.split())
    for part in ("format folder", "files 3 (.bin 2, .csv 1)", "size 2.0 kB", read_manifest(uri).digest, f"uri: {uri}"):
        assert part in words


def test_the_same_content_again_changes_nothing_and_other_content_is_an_error(write: Write, uri: str) -> None:
    first = publish(str(write({"a.csv": "x\n1\n"})), uri)
    again = publish(str(write({"a.csv": "x\n1\n"})), uri)
    assert (first.exit_code, again.exit_code, again.stdout) == (0, 0, first.stdout)
    other = publish(str(write({"a.csv": "x\n2\n"})), uri)
    assert other.exit_code == 1
    assert "has other content" in " ".join(other.output.split())


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        pytest.param(("s3://b",), "URI: got 's3://b', expected s3://bucket/path", id="a bucket alone"),
        pytest.param(("file:///a b",), "URI: got 'file:///a b'", id="a space, which no job could name"),
        pytest.param(("https://example.com/a",), "URI: got 'https", id="another scheme"),
        pytest.param(("file:///tmp/x", "--format", "xml"), "--format: got 'xml'", id="another format"),
    ],
)
def test_what_cannot_be_a_dataset_is_rejected_before_anything_is_read(words: tuple[str, ...], problem: str) -> None:
    result = publish("/no/such/file", *words)
    assert result.exit_code == 1
    assert problem in " ".join(result.output.split())


def test_a_dataset_that_is_rejected_leaves_nothing(write: Write, uri: str) -> None:
    assert publish(str(write({"a.csv": "x,y\n1\n"}) / "a.csv"), uri).exit_code == 1
    with pytest.raises(ArtifactNotFound):
        read_manifest(uri)


def test_help_has_examples() -> None:
    assert "fairlead dataset publish houses.csv" in publish("--help").stdout
