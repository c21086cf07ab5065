"""Artifacts in an S3-compatible object store, through the minio client."""

import io
import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import certifi
import urllib3
from minio import Minio
from minio.error import MinioException, S3Error
from urllib3 import BaseHTTPResponse

from .claim import Claim, Stored
from .credentials import find_provider
from .errors import ArtifactError, StoreUnavailable
from .manifest import MANIFEST_NAME, MAX_BYTES, SIGNATURES, Manifest
from .resume import ResumingReader
from .streams import Readable, Source, VerifyingReader
from .uri import Location

_PART_SIZE = 16 << 20
_EXPIRY = timedelta(minutes=10)
_ERROR_CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,64})</Code>")
_ABSENT = ("NoSuchKey", "NoSuchObject", "ResourceNotFound")
_POOL = re.compile(r"HTTPS?Connection(?:Pool)?\(host='([^']*)', port=(\d+)\): ")
"""How urllib3 begins the messages of its errors."""


class S3Store:
    """The store for s3:// URIs."""

    def __init__(self, client: Minio, http: urllib3.PoolManager) -> None:
        self._client = client
        self._http = http

    @classmethod
    def from_environment(cls) -> "S3Store":
        """Connect with the standard AWS_* variables and the credentials of the AWS SDKs' chain."""
        endpoint = os.environ.get("AWS_ENDPOINT_URL", "https://s3.amazonaws.com")
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
            raise ArtifactError("AWS_ENDPOINT_URL", f"got {endpoint!r}, expected http(s)://host[:port]")
        try:
            credentials = find_provider()
        except ValueError as error:
            raise StoreUnavailable(endpoint, str(error)) from None
        http = urllib3.PoolManager(
            # The client's default timeout is five minutes for an address that does not answer.
            timeout=urllib3.Timeout(connect=10, read=60),
            retries=urllib3.Retry(total=3, backoff_factor=0.5, status_forcelist=(500, 502, 503, 504)),
            cert_reqs="CERT_REQUIRED",
            ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
        )
        client = Minio(
            parts.netloc,
            credentials=credentials,
            secure=parts.scheme == "https",
            region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
            http_client=http,
        )
        return cls(client, http)

    def read_manifest(self, location: Location) -> bytes | None:
        """Return the manifest's bytes, or None if there is no artifact."""
        try:
            with self.open_file(location, MANIFEST_NAME) as body:
                return _read_up_to(body, MAX_BYTES + 1)
        except _Absent:
            return None

    @contextmanager
    def open_file(self, location: Location, path: str, offset: int = 0) -> Iterator[Readable]:
        """Open one of the artifact's files for reading; a connection that drops is replaced where it ended."""

        def get(start: int, etag: str | None) -> BaseHTTPResponse:
            headers: dict[str, str | list[str] | tuple[str]] | None = {"If-Match": etag} if etag else None
            return self._client.get_object(
                location.bucket, f"{location.path}/{path}", offset=start, request_headers=headers
            )

        with _translate_errors(location, path), closing(ResumingReader(get, offset)) as body:
            yield body

    def write(self, location: Location, source: Source, manifest: Manifest, old: Manifest | None) -> None:
        """Upload the files, then the manifest; remove the manifest of an old artifact first.

        Only the writer that holds the location's claim writes; raise ClaimHeld if another one does.
        """
        with self._claimed(location, manifest) as claim:
            if self.read_manifest(location) != (old and old.content):
                raise ArtifactError(location.uri, "another writer has published here meanwhile; expected no change")
            if old is not None:
                self._remove(location, old, kept=manifest)
            for entry in manifest.files:
                with source.open(entry.path) as file:
                    reader = VerifyingReader(location.uri, file, entry, claim.refresh)
                    self._put(location, entry.path, reader, entry.size)
                    reader.finish()
            if self.put_if(location, MANIFEST_NAME, manifest.content, {"If-None-Match": "*"}) is None:
                raise ArtifactError(location.uri, "another writer has published here meanwhile; expected no manifest")

    def delete(self, location: Location, manifest: Manifest) -> None:
        """Remove the manifest, then the files; raise ClaimHeld if another writer is at work there."""
        with self._claimed(location, manifest):
            self._remove(location, manifest)

    def read_beside(self, location: Location, path: str, limit: int) -> bytes | None:
        """Return at most `limit` bytes of an object that the manifest does not list, or None if it is absent."""
        stored = self.read_small(location, path, limit)
        return None if stored is None else stored.content

    def write_beside(self, location: Location, path: str, content: bytes) -> None:
        """Write a small object that the manifest does not list; raise ArtifactError if there is no artifact."""
        if self.read_manifest(location) is None:
            raise ArtifactError(location.uri, f"no artifact found; expected a {MANIFEST_NAME}")
        self._put(location, path, io.BytesIO(content), len(content))

    def find(self, location: Location) -> Iterator[Location]:
        """Yield the artifacts at and below the location, in order."""
        with _translate_errors(location):
            for item in self._client.list_objects(location.bucket, f"{location.path}/", recursive=True):
                name = str(item.object_name)
                if name.endswith(f"/{MANIFEST_NAME}"):
                    yield Location("s3", location.bucket, name.removesuffix(f"/{MANIFEST_NAME}"))

    def read_small(self, location: Location, path: str, limit: int) -> Stored | None:
        """Return an object of at most `limit` bytes, or None if it is absent."""
        try:
            with _translate_errors(location, path):
                body = self._client.get_object(location.bucket, f"{location.path}/{path}")
                with closing(body):
                    content, head = body.read(limit), body.headers
                    return Stored(content, head["ETag"], head["Last-Modified"], head["Date"])
        except _Absent:
            return None

    def put_if(self, location: Location, path: str, content: bytes, condition: dict[str, str]) -> str | None:
        """Write an object if the condition holds; return its ETag, or None if it does not hold.

        The client's own puts accept no conditions, so it only signs this one.
        """
        with _translate_errors(location):
            url = self._client.get_presigned_url("PUT", location.bucket, f"{location.path}/{path}", expires=_EXPIRY)
            answer = self._http.request("PUT", url, body=content, headers=condition)
        if answer.status == 200:
            return answer.headers["ETag"]
        if answer.status in (404, 409, 412) and b"NoSuchBucket" not in answer.data[:1000]:
            return None
        if b"NoSuchBucket" in answer.data[:1000]:
            raise ArtifactError(location.uri, f"bucket {location.bucket!r} does not exist")
        code = _ERROR_CODE.search(answer.data[:1000])
        text = f"the object store returned {code[1].decode() if code else answer.status} for a conditional put"
        raise StoreUnavailable(location.uri, text)

    def remove(self, location: Location, path: str) -> None:
        """Remove an object."""
        with _translate_errors(location):
            self._client.remove_object(location.bucket, f"{location.path}/{path}")

    @contextmanager
    def _claimed(self, location: Location, manifest: Manifest) -> Iterator[Claim]:
        """Keep other writers away from a location during the block; raise ClaimHeld if one is at work there."""
        claim = Claim(self, location, manifest.digest)
        claim.take()
        try:
            yield claim
        finally:
            with suppress(ArtifactError):  # A claim that cannot be removed now expires.
                claim.release()

    def _remove(self, location: Location, old: Manifest, kept: Manifest | None = None) -> None:
        """Remove an artifact, its manifest first, but for the files that another one will replace."""
        self.remove(location, MANIFEST_NAME)
        for path in self._list(location, SIGNATURES):
            self.remove(location, path)
        paths = {entry.path for entry in kept.files} if kept else set()
        for entry in old.files:
            if entry.path not in paths:
                self.remove(location, entry.path)

    def _list(self, location: Location, folder: str) -> list[str]:
        """Return the paths of the objects in a folder of an artifact."""
        prefix = f"{location.path}/"
        with _translate_errors(location):
            items = self._client.list_objects(location.bucket, f"{prefix}{folder}/", recursive=True)
            return [str(item.object_name).removeprefix(prefix) for item in items]

    def _put(self, location: Location, path: str, data: Any, size: int) -> None:
        with _translate_errors(location):
            self._client.put_object(location.bucket, f"{location.path}/{path}", data, size, part_size=_PART_SIZE)


def _read_up_to(body: Readable, limit: int) -> bytes:
    """Read until the end or `limit` bytes: a response may return less than is asked for."""
    content = b""
    while len(content) < limit and (chunk := body.read(limit - len(content))):
        content += chunk
    return content


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
        if path is not None and error.code == "InvalidRange":
            raise ArtifactError(location.uri, f"file {path!r} is shorter than in the manifest") from None
        if error.code == "NoSuchBucket":
            raise ArtifactError(location.uri, f"bucket {location.bucket!r} does not exist{_hint()}") from None
        message = f"the object store returned {error.code}: {error.message}{_hint()}"
        raise StoreUnavailable(location.uri, message) from None
    except (MinioException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise StoreUnavailable(location.uri, f"the transfer failed: {_describe(error)}{_hint()}") from None


def _hint() -> str:
    """Return why it may be the wrong store that was asked: pods whose Secret is missing have none of its variables."""
    return "" if "AWS_ENDPOINT_URL" in os.environ else "; AWS_ENDPOINT_URL is not set: is the store's Secret missing?"


def _describe(error: Exception) -> str:
    """Return the cause of a failed request, without what the client's pool says around it."""
    while isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason is not None:
        error = error.reason
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return ": ".join(str(part).rstrip(".") for part in error.args)
    return _POOL.sub(r"\1:\2: ", str(error))
