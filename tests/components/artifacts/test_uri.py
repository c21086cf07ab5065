"""URIs and digests: valid ones, and the errors for invalid ones."""

import pytest
from fairlead_artifacts import ArtifactError, Location, parse_digest, parse_uri, validation_uri

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("uri", "location"),
    [
        ("s3://datasets/digits/v1", Location("s3", "datasets", "digits/v1")),
        ("s3://datasets/digits/v1/", Location("s3", "datasets", "digits/v1")),
        ("file:///data/digits", Location("file", "", "/data/digits")),
        ("file://localhost/data/a%20b", Location("file", "", "/data/a b")),
    ],
)
def test_a_valid_uri_is_parsed(uri: str, location: Location) -> None:
    assert parse_uri(uri) == location
    assert parse_uri(location.uri) == location


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("", "not a URI"),
        ("/data/digits", "not a URI"),
        ("s3:/datasets/digits", "not a URI"),
        ("http://host/x", "scheme 'http' is not supported"),
        ("S3://datasets/x", "scheme 'S3' is not supported"),
        ("file://host/data", "names the host 'host'"),
        ("file:///", "names no folder"),
        ("file:///a/../b", "path segment '..'"),
        ("file:///a/%2e%2e/b", "path segment '..'"),
        ("file:///a//b", "path segment ''"),
        ("file:///a%zz", "a % that is not percent-encoding"),
        ("file:///a%00b", "control character"),
        ("s3://datasets", "names no folder"),
        ("s3:///digits", "bucket '' is malformed"),
        ("s3://Data_Sets/digits", "bucket 'Data_Sets' is malformed"),
        ("s3://user:secret@bucket/x", "is malformed"),
        ("s3://datasets/../x", "path segment '..'"),
        ("s3://datasets//x", "path segment ''"),
        ("s3://datasets/a b", "has invalid characters"),
        ("s3://datasets/x?versionId=1", "has a query"),
        ("s3://datasets/x#y", "has a query"),
        ("s3://data\nsets/x", "control character"),
        ("s3://[bad/x", "malformed"),
    ],
)
def test_an_invalid_uri_is_rejected_with_its_reason(uri: str, reason: str) -> None:
    with pytest.raises(ArtifactError) as rejection:
        parse_uri(uri)
    assert reason in str(rejection.value)


def test_a_valid_digest_returns_its_hex_digits() -> None:
    assert parse_digest(f"sha256:{HEX}") == HEX


@pytest.mark.parametrize(
    "digest", ["", HEX, f"md5:{HEX}", f"sha256:{HEX[:-1]}", f"sha256:{HEX.upper()}", f"sha256:{HEX}\n"]
)
def test_an_invalid_digest_is_rejected_with_its_subject(digest: str) -> None:
    with pytest.raises(ArtifactError, match=r"spec\.dataset\.digest: got"):
        parse_digest(digest, subject="spec.dataset.digest")


def test_a_validation_result_is_next_to_its_dataset() -> None:
    assert validation_uri("s3://datasets/digits/v1/", f"sha256:{HEX}") == f"s3://datasets/digits/v1.validation/{HEX}"
