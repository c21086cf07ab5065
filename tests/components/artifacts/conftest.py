"""Stores to publish to: a folder, and a real S3 server if FAIRLEAD_TEST_S3_URI is set."""

import os
import secrets
from pathlib import Path

import pytest


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.s3)])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return a URI below which nothing is published."""
    if request.param == "file":
        return (tmp_path / "store").as_uri()
    uri = os.environ.get("FAIRLEAD_TEST_S3_URI")
    if not uri:
        pytest.skip("FAIRLEAD_TEST_S3_URI names no S3 server (s3://bucket/prefix, with AWS_* set)")
    return f"{uri.rstrip('/')}/{secrets.token_hex(6)}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a file at its top and one in a subfolder."""
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "train.npz").write_bytes(b"\x00\x01" * 70_000)
    (source / "sub" / "names.csv").write_text("a,b\n1,2\n")
    return source
