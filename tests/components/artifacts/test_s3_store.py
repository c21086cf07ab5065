"""Errors that are specific to object stores."""

import secrets
import socket
import threading
import time
from pathlib import Path

import pytest
import urllib3
from fairlead_artifacts import ArtifactError, StoreUnavailable, fetch, parse_uri, publish, read_manifest
from fairlead_artifacts.s3_store import _translate_errors


@pytest.fixture
def bucket(base: str) -> str:
    """Return the test server's bucket; skip the test for other stores."""
    if not base.startswith("s3://"):
        pytest.skip("for s3:// only")
    return base


def test_a_file_of_several_parts_is_whole(bucket: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "weights.bin").write_bytes(secrets.token_bytes(1 << 20) * 37)
    published = publish(source, f"{bucket}/v1", kind="model", producer="t/1")
    assert fetch(f"{bucket}/v1", tmp_path / "copy") == published


def test_a_bucket_that_does_not_exist_is_named(bucket: str, folder: Path) -> None:
    absent = f"fairlead-absent-{secrets.token_hex(4)}"
    with pytest.raises(ArtifactError, match=f"bucket '{absent}' does not exist"):
        read_manifest(f"s3://{absent}/v1")
    with pytest.raises(ArtifactError, match=f"bucket '{absent}' does not exist"):
        publish(folder, f"s3://{absent}/v1", kind="dataset", producer="t/1")


def test_wrong_credentials_are_rejected_without_repeating_them(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    with pytest.raises(StoreUnavailable, match="SignatureDoesNotMatch") as rejection:
        read_manifest(f"s3://{parse_uri(bucket).bucket}/v1")
    assert "not-the-secret" not in str(rejection.value)


def test_a_store_that_does_not_answer_is_unavailable_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        started = time.monotonic()
        with pytest.raises(StoreUnavailable) as caught:
            read_manifest("s3://datasets/v1")
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    cause = f"{address}: Failed to establish a new connection: [Errno 111] Connection refused"
    assert str(caught.value) == f"s3://datasets/v1: the transfer failed: {cause}"
    assert time.monotonic() - started < 20


def test_a_store_that_ends_connections_is_named_by_that(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("AWS_REGION", "us-east-1")

        def hang_up() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(StoreUnavailable) as caught:
            read_manifest("s3://datasets/v1")
        server.shutdown(socket.SHUT_RDWR)
    problem = caught.value.problem
    assert problem.startswith("the transfer failed: Connection aborted: ") and "(" not in problem


@pytest.mark.parametrize("endpoint", ["localhost:9000", "ftp://host", "http://", "http://host/path"])
def test_a_malformed_endpoint_is_named(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(ArtifactError, match=r"AWS_ENDPOINT_URL: got .* expected http\(s\)://host"):
        read_manifest("s3://datasets/v1")


def test_a_store_that_was_not_named_is_pointed_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod whose Secret is missing asks AWS for its bucket."""
    failure = urllib3.exceptions.HTTPError("Failed to resolve 'datasets.s3.amazonaws.com'")
    for name, hint in (("", "; AWS_ENDPOINT_URL is not set: is the store's Secret missing?"), ("http://store", "")):
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
        if name:
            monkeypatch.setenv("AWS_ENDPOINT_URL", name)
        with pytest.raises(StoreUnavailable) as caught, _translate_errors(parse_uri("s3://datasets/digits")):
            raise failure
        assert str(caught.value).endswith(f"'datasets.s3.amazonaws.com'{hint}")
