"""Parse URIs and digests; errors name what is invalid."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from .errors import ArtifactError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_S3_KEY = re.compile(r"[A-Za-z0-9._=+@:/-]+")
_PERCENT_ENCODED = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*")


@dataclass(frozen=True)
class Location:
    """A parsed URI: an absolute path for file://, a bucket and a key for s3://, without a slash at the end."""

    scheme: str
    bucket: str
    path: str

    @property
    def uri(self) -> str:
        """Return the URI in its normalized form."""
        return f"file://{quote(self.path)}" if self.scheme == "file" else f"s3://{self.bucket}/{self.path}"


def parse_uri(uri: str) -> Location:
    """Parse an artifact's URI; raise ArtifactError when it is malformed or its scheme is unsupported."""
    scheme, separator, _ = uri.partition("://")
    if not separator:
        raise ArtifactError(uri, "not a URI; expected s3://bucket/path or file:///path")
    if scheme not in ("file", "s3"):
        raise ArtifactError(uri, f"scheme {scheme!r} is not supported; expected s3:// or file://")
    if not uri.isprintable() or "?" in uri or "#" in uri:
        raise ArtifactError(uri, "has a query, a fragment or a control character; expected a plain path")
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise ArtifactError(uri, f"malformed ({error}); expected s3://bucket/path or file:///path") from None
    return _parse_file(uri, parts.netloc, parts.path) if scheme == "file" else _parse_s3(uri, parts.netloc, parts.path)


def _parse_file(uri: str, host: str, quoted: str) -> Location:
    if host not in ("", "localhost"):
        raise ArtifactError(uri, f"names the host {host!r}; expected an absolute path, file:///path")
    if not _PERCENT_ENCODED.fullmatch(quoted):
        raise ArtifactError(uri, "has a % that is not percent-encoding; expected a form such as %20")
    path = unquote(quoted).removesuffix("/")
    if not path.isprintable():
        raise ArtifactError(uri, "has a control character; expected a plain path")
    _check_segments(uri, path.removeprefix("/"))
    return Location("file", "", path)


def _parse_s3(uri: str, bucket: str, path: str) -> Location:
    if not _BUCKET.fullmatch(bucket):
        raise ArtifactError(
            uri, f"bucket {bucket!r} is malformed; expected 3 to 63 of a-z, 0-9, '.' and '-', as in s3://bucket/path"
        )
    key = path.removeprefix("/").removesuffix("/")
    _check_segments(uri, key)
    if not _S3_KEY.fullmatch(key):
        raise ArtifactError(uri, f"key {key!r} has invalid characters; expected letters, digits and ._=+@:/-")
    return Location("s3", bucket, key)


def _check_segments(uri: str, path: str) -> None:
    if not path:
        raise ArtifactError(uri, "names no folder; expected a path below the root or the bucket")
    for segment in path.split("/"):
        if segment in ("", ".", ".."):
            raise ArtifactError(uri, f"has the path segment {segment!r}; expected none that is empty, '.' or '..'")


def parse_digest(digest: str, *, subject: str = "digest") -> str:
    """Return the digest's 64 hexadecimal digits; raise ArtifactError naming the subject if it is not a digest."""
    if not _DIGEST.fullmatch(digest):
        raise ArtifactError(subject, f"got {digest!r}, expected sha256:<64 lowercase hexadecimal digits>")
    return digest.removeprefix("sha256:")


def validation_uri(dataset_uri: str, digest: str) -> str:
    """Return the URI of the dataset's validation result: next to the dataset, by its digest."""
    return f"{parse_uri(dataset_uri).uri}.validation/{parse_digest(digest)}"


def model_card_uri(model_uri: str, digest: str) -> str:
    """Return the URI of the model's card: next to the model, by its digest."""
    return f"{parse_uri(model_uri).uri}.card/{parse_digest(digest)}"
