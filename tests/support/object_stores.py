"""A real S3 server for tests: MinIO, as the kind cluster has it."""

import contextlib
import http.client
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from minio import Minio

from tests.support.ports import free_port

_USER = "tests"


@dataclass(frozen=True)
class ObjectStore:
    """A running server."""

    port: int
    password: str = field(repr=False)

    @property
    def client(self) -> Minio:
        """Return a client of the server itself."""
        return Minio(f"127.0.0.1:{self.port}", _USER, self.password, secure=False)

    def variables(self, port: int | None = None, password: str | None = None) -> dict[str, str]:
        """Return the AWS_* variables of its clients, perhaps at the port of a proxy."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": _USER,
            "AWS_SECRET_ACCESS_KEY": password or self.password,
        }


def find_minio() -> Path | None:
    """Return the program if it has been built: `make cluster` and `make chaos` do it."""
    home = Path(os.environ.get("FAIRLEAD_HOME") or Path.home() / ".fairlead")
    return next(iter(sorted((home / "kind" / "programs").glob("minio-*/minio"))), None)


@contextlib.contextmanager
def started_minio(program: Path, folder: Path, *buckets: str) -> Iterator[ObjectStore]:
    """Run the program during the block, with buckets."""
    store = ObjectStore(free_port(), secrets.token_urlsafe(24))
    variables = {"MINIO_ROOT_USER": _USER, "MINIO_ROOT_PASSWORD": store.password, "MINIO_BROWSER": "off"}
    with (folder / "minio.log").open("wb") as log:
        argv = [str(program), "server", "--quiet", "--address", f"127.0.0.1:{store.port}", str(folder / "s3")]
        process = subprocess.Popen(argv, env=os.environ | variables, stdout=log, stderr=log)
    try:
        _wait_until_ready(store.port)
        for bucket in buckets:
            store.client.make_bucket(bucket)
        yield store
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/minio/health/ready")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.2)
    raise AssertionError("MinIO is not ready after 60 s")
