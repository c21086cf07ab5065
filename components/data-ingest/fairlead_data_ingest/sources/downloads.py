"""A file that is downloaded, over HTTP or from the object store; a connection that drops is replaced where it ended."""

import hashlib
import os
import re
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

import certifi
import urllib3
from fairlead_artifacts import open_object
from fairlead_artifacts.resume import ResumingReader
from fairlead_artifacts.streams import Readable
from fairlead_datasets.errors import Unusable
from urllib3 import BaseHTTPResponse

from ..errors import SourceUnavailable
from ..source import Source, describe_wrong_url
from .fetched import Fetched, check_sha256, check_size
from .secrets import read_secret

MAX_SECONDS = 3600.0
"""How long a download may last."""
_CHUNK = 1 << 20
_MAX_REDIRECTS = 5


def fetch_url(source: Source, base: Path, work: Path) -> Fetched:
    """Download a URL; its query, which may have a signature, is shown nowhere."""
    url = _read_url(source, base)
    shown = _without_query(url)
    http = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=10, read=60),
        cert_reqs="CERT_REQUIRED",
        ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
    )
    try:
        reader = ResumingReader(lambda offset, etag: _get(http, url, shown, offset, etag))
        with closing(reader):
            return _save(reader, source, work, shown, "url")
    except (urllib3.exceptions.HTTPError, OSError) as error:
        cause = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else error
        text = _without_query(str(cause))
        raise SourceUnavailable(f"{shown}: the download failed: {type(cause).__name__}: {text[:200]}") from None


def _read_url(source: Source, base: Path) -> str:
    if source.url:
        return source.url
    name, url = read_secret(source.url_variable, source.url_file, base)
    if wrong := describe_wrong_url(url):
        raise Unusable(f"{name}: got {wrong if url else 'nothing'}, expected http(s)://host/path?query")
    return url


def _without_query(text: str) -> str:
    """Return a URL, or a message with URLs, without queries and fragments."""
    return re.sub(r"[?#][!-~]*", "", text)


def fetch_object(source: Source, base: Path, work: Path) -> Fetched:
    """Download a file of the object store."""
    del base
    uri = str(source.object_)
    with open_object(uri) as reader:
        return _save(reader, source, work, uri, "object")


def _save(reader: Readable, source: Source, work: Path, shown: str, kind: str) -> Fetched:
    name, digest, size, end = _name(shown), hashlib.sha256(), 0, time.monotonic() + MAX_SECONDS
    with (work / name).open("xb") as file:
        while chunk := reader.read(_CHUNK):
            size += len(chunk)
            check_size(shown, size, source.size_limit)
            if time.monotonic() > end:
                raise SourceUnavailable(f"{shown}: got {size:,} bytes in {MAX_SECONDS:g} s, expected the whole file")
            digest.update(chunk)
            file.write(chunk)
    check_sha256(shown, digest.hexdigest(), source.sha256)
    return Fetched(work, (name,), {"kind": kind, kind: shown, "bytes": size, "sha256": digest.hexdigest()})


def _get(http: urllib3.PoolManager, url: str, shown: str, offset: int, etag: str | None) -> BaseHTTPResponse:
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers |= {"Range": f"bytes={offset}-", "If-Range": str(etag)}
    retries = urllib3.Retry(
        total=_MAX_REDIRECTS + 3, redirect=_MAX_REDIRECTS, connect=3, read=3, status=3, other=0, backoff_factor=0.5,
        status_forcelist=(500, 502, 503, 504), respect_retry_after_header=False, raise_on_status=False,
    )  # fmt: skip
    answer = http.request("GET", url, preload_content=False, headers=headers, retries=retries)
    places = [item.redirect_location or "" for item in answer.retries.history] if answer.retries else []
    if url.startswith("https:") and any(place.lower().startswith("http:") for place in places):
        raise Unusable(f"{shown}: is redirected from https to http, expected https alone")
    if answer.status == (206 if offset else 200):
        return answer
    answer.close()
    if 400 <= answer.status < 500 and answer.status not in (408, 429):
        raise Unusable(f"{shown}: the server answered {answer.status}, expected the file")
    raise urllib3.exceptions.HTTPError(f"the server answered {answer.status}, expected {206 if offset else 200}")


def _name(shown: str) -> str:
    """Return a safe name of the file, with its extension."""
    last = unquote(urlsplit(shown).path.rpartition("/")[2])
    return re.sub(r"[^A-Za-z0-9._-]", "_", last).lstrip(".")[-100:] or "data"
