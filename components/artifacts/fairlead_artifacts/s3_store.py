"""Artifacts in an S3-compatible object store, through the minio client."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import certifi
import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from .errors import ArtifactError, StoreUnavailable
from .manifest import MANIFEST_NAME, Manifest
from .streams import Readable, VerifyingReader
from .uri import Location

_PART_SIZE = 16 << 20
_MANIFEST_LIMIT = 64 << 20
_ABSENT = ("NoSuchKey", "NoSuchObject", "ResourceNotFound")


class S3Store:
    """The store for s3:// URIs."""

    def __init__(self, client: Minio) -> None:
        self._client = client

    @classmethod
    def from_environment(cls) -> "S3Store":
        """Connect with the standard AWS_* variables of the AWS SDKs."""
        endpoint = os.environ.get("AWS_ENDPOINT_URL", "https://s3.amazonaws.com")
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
            raise ArtifactError("AWS_ENDPOINT_URL", f"got {endpoint!r}, expected http(s)://host[:port]")
        client = Minio(
            parts.netloc,
            access_key=os.environ.get("AWS_ACCESS_KEY_ID"),
            secret_key=os.environ.get("AWS_SECRET_ACCESS_KEY"),
            session_token=os.environ.get("AWS_SESSION_TOKEN"),
            secure=parts.scheme == "https",
            region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
            # The client's default timeout is five minutes for an address that does not answer.
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=10, read=60),
                retries=urllib3.Retry(total=3, backoff_factor=0.5, status_forcelist=(500, 502, 503, 504)),
                cert_reqs="CERT_REQUIRED",
                ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
            ),
        )
        return cls(client)

    def read_manifest(self, location: Location) -> bytes | None:
        """Return the manifest's bytes, or None if there is no artifact."""
        try:
            with self._open(location, MANIFEST_NAME) as body:
                content = body.read(_MANIFEST_LIMIT + 1)
        except _Absent:
            return None
        if len(content) > _MANIFEST_LIMIT:
            raise ArtifactError(location.uri, f"{MANIFEST_NAME} is larger than {_MANIFEST_LIMIT} bytes")
        return content

    @contextmanager
    def open_file(self, location: Location, path: str) -> Iterator[Readable]:
        """Open one of the artifact's files for reading."""
        with self._open(location, path) as body:
            yield body

    def write(self, location: Location, folder: Path, manifest: Manifest, old: Manifest | None) -> None:
        """Upload the files, then the manifest; remove the manifest of an old artifact first."""
        if old is not None:
            self._remove(location, MANIFEST_NAME)
            kept = {entry.path for entry in manifest.files}
            for entry in old.files:
                if entry.path not in kept:
                    self._remove(location, entry.path)
        for entry in manifest.files:
            with (folder / entry.path).open("rb") as file:
                reader = VerifyingReader(location.uri, file, entry)
                self._put(location, entry.path, reader, entry.size)
                reader.finish()
        self._put(location, MANIFEST_NAME, io.BytesIO(manifest.content), len(manifest.content))

    def find(self, location: Location) -> Iterator[Location]:
        """Yield the artifacts at and below the location, in order."""
        with _translate_errors(location):
            for item in self._client.list_objects(location.bucket, f"{location.path}/", recursive=True):
                name = str(item.object_name)
                if name.endswith(f"/{MANIFEST_NAME}"):
                    yield Location("s3", location.bucket, name.removesuffix(f"/{MANIFEST_NAME}"))

    @contextmanager
    def _open(self, location: Location, path: str) -> Iterator[Readable]:
        with _translate_errors(location, path):
            body = self._client.get_object(location.bucket, f"{location.path}/{path}")
            try:
                yield body
            finally:
                body.close()
                body.release_conn()

    def _put(self, location: Location, path: str, data: Any, size: int) -> None:
        with _translate_errors(location):
            self._client.put_object(location.bucket, f"{location.path}/{path}", data, size, part_size=_PART_SIZE)

    def _remove(self, location: Location, path: str) -> None:
        with _translate_errors(location):
            self._client.remove_object(location.bucket, f"{location.path}/{path}")


class _Absent(ArtifactError):
    """The object does not exist."""


@contextmanager
def _translate_errors(location: Location, path: str | None = None) -> Iterator[None]:
    """Translate the client's errors into the store's."""
    try:
        yield
    except S3Error as error:
        if path is not None and error.code in _ABSENT:
            raise _Absent(location.uri, f"file {path!r} of the manifest is missing") from None
        if error.code == "NoSuchBucket":
            raise ArtifactError(location.uri, f"bucket {location.bucket!r} does not exist") from None
        raise StoreUnavailable(location.uri, f"the object store returned {error.code}: {error.message}") from None
    except (MinioException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise StoreUnavailable(location.uri, f"the transfer failed: {error}") from None
