"""Several writers at one S3 URI, dropped connections, credentials, and outages."""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fairlead_artifacts import (
    ArtifactError,
    Manifest,
    StoreUnavailable,
    fetch,
    parse_uri,
    publish,
    read_manifest,
    retry_unavailable,
)
from fairlead_artifacts.claim import CLAIM_NAME, STALE_SECONDS, Claim, Stored
from fairlead_artifacts.credentials import find_provider
from fairlead_artifacts.errors import ClaimHeld
from fairlead_artifacts.s3_store import S3Store
from fairlead_artifacts.streams import Source
from fairlead_artifacts.uri import Location

publish_model = partial(publish, kind="model", producer="tests/1")
LOCATION = Location("s3", "models", "m/v1")


@pytest.fixture
def bucket(base: str) -> str:
    """Return the test server's bucket; skip the test for other stores."""
    if not base.startswith("s3://"):
        pytest.skip("for s3:// only")
    return base


def make_source(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def names(uri: str) -> set[str]:
    location = parse_uri(uri)
    client = S3Store.from_environment()._client
    found = client.list_objects(location.bucket, f"{location.path}/", recursive=True)
    return {str(item.object_name).removeprefix(f"{location.path}/") for item in found}


@pytest.mark.parametrize("round_", range(3))
def test_of_several_writers_one_wins_whole_and_the_others_are_told(bucket: str, tmp_path: Path, round_: int) -> None:
    uri, start = f"{bucket}/race-{round_}", threading.Barrier(4)
    sources = [
        make_source(tmp_path / f"source-{writer}", {f"only-{writer}": b"x", "weights": bytes([writer]) * (20 << 20)})
        for writer in range(4)
    ]

    def write(source: Path) -> Manifest | ArtifactError:
        start.wait()
        try:
            return publish_model(source, uri)
        except ArtifactError as error:
            return error

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(write, sources))
    winners = [result for result in results if isinstance(result, Manifest)]
    losers = [result for result in results if isinstance(result, ArtifactError)]
    assert len(winners) == 1, results
    for loser in losers:
        assert "another writer" in str(loser) or "has other content" in str(loser)
    assert fetch(uri, tmp_path / "copy") == winners[0] == read_manifest(uri)
    assert names(uri) == {"manifest.json", *(entry.path for entry in winners[0].files)}


def test_writers_of_equal_content_all_succeed(bucket: str, tmp_path: Path) -> None:
    source, start = make_source(tmp_path / "source", {"weights": b"w" * (20 << 20)}), threading.Barrier(3)

    def write(_: int) -> Manifest:
        start.wait()
        return publish_model(source, f"{bucket}/v1")

    with ThreadPoolExecutor(3) as pool:
        assert len(set(map(str, pool.map(write, range(3))))) == 1
    assert names(f"{bucket}/v1") == {"manifest.json", "weights"}


def test_a_writer_whose_files_are_invalid_leaves_no_claim(bucket: str, tmp_path: Path) -> None:
    source = make_source(tmp_path / "source", {"a": b"1"})
    store, location = S3Store.from_environment(), parse_uri(f"{bucket}/v1")
    manifest = publish_model(source, f"{bucket}/elsewhere")
    (source / "a").write_bytes(b"changed")
    with pytest.raises(ArtifactError, match="as in the manifest"):
        store.write(location, Source(source), manifest, None)
    assert CLAIM_NAME not in names(f"{bucket}/v1")


class Memory:
    """The conditional puts of a store, with a clock that the test controls."""

    now = 1000

    def __init__(self) -> None:
        self.stored: tuple[bytes, str, int] | None = None
        self.puts = 0

    def read_small(self, location: Location, path: str, limit: int) -> Stored | None:
        if self.stored is None:
            return None
        content, etag, modified = self.stored
        return Stored(content, etag, self._date(modified), self._date(self.now))

    def put_if(self, location: Location, path: str, content: bytes, condition: dict[str, str]) -> str | None:
        holds = self.stored is None if "If-None-Match" in condition else self.stored is not None
        if not holds or (self.stored and condition.get("If-Match", self.stored[1]) != self.stored[1]):
            return None
        self.puts += 1
        self.stored = content, f"etag-{self.puts}", self.now
        return self.stored[1]

    def remove(self, location: Location, path: str) -> None:
        self.stored = None

    def _date(self, seconds: int) -> str:
        return f"Thu, 01 Jan 2026 {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02} GMT"


def test_a_claim_is_held_until_it_is_released() -> None:
    store = Memory()
    first, second = Claim(store, LOCATION, "sha256:1"), Claim(store, LOCATION, "sha256:2")
    first.take()
    with pytest.raises(ClaimHeld, match="another writer is publishing sha256:1 here; expected none or sha256:2"):
        second.take()
    second.release()  # It is not this writer's.
    assert store.stored is not None
    first.release()
    second.take()


def test_a_claim_that_is_not_refreshed_is_taken_over_and_its_writer_notices() -> None:
    store, ticks = Memory(), [0.0]
    first = Claim(store, LOCATION, "sha256:1", lambda: ticks[0])
    first.take()
    store.now += int(STALE_SECONDS) + 1
    Claim(store, LOCATION, "sha256:2").take()
    ticks[0] += STALE_SECONDS
    with pytest.raises(ClaimHeld, match="another writer"):
        first.refresh()
    first.release()
    assert store.stored is not None


def test_a_claim_is_refreshed_by_progress() -> None:
    store, ticks = Memory(), [0.0]
    first = Claim(store, LOCATION, "sha256:1", lambda: ticks[0])
    first.take()
    for _ in range(20):
        ticks[0] += 60
        store.now += 60
        first.refresh()
        with pytest.raises(ClaimHeld):
            Claim(store, LOCATION, "sha256:2").take()


@contextmanager
def dropping_proxy(target: str, limit: int) -> Iterator[tuple[str, list[int]]]:
    """Forward connections, ending each after `limit` bytes of answers; yield the URL and the bytes that were sent."""
    parts = urlsplit(target)
    listener, sent = socket.create_server(("127.0.0.1", 0)), []

    def pump(source: socket.socket, sink: socket.socket, most: float, count: Callable[[int], None]) -> None:
        left = most
        try:
            while left > 0 and (chunk := source.recv(int(min(65536, left)))):
                sink.sendall(chunk)
                left -= len(chunk)
                count(len(chunk))
        except OSError:
            pass
        for each in (source, sink):
            each.close() if left > 0 else each.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection((parts.hostname or "", parts.port or 80))
            threading.Thread(target=pump, args=(client, server, float("inf"), lambda _: None), daemon=True).start()
            threading.Thread(target=pump, args=(server, client, limit, sent.append), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", sent
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_a_fetch_continues_where_a_connection_dropped(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 12 << 20
    source = make_source(tmp_path / "source", {"weights": os.urandom(size)})
    published = publish_model(source, f"{bucket}/v1")
    with dropping_proxy(os.environ["AWS_ENDPOINT_URL"], 5 << 20) as (url, sent):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        assert fetch(f"{bucket}/v1", tmp_path / "copy") == published
    assert sum(sent) < 1.5 * size


def test_a_fetch_from_a_store_that_always_drops_ends(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead_artifacts.resume._PAUSE", 0.01)
    publish_model(make_source(tmp_path / "source", {"weights": os.urandom(1 << 20)}), f"{bucket}/v1")
    with dropping_proxy(os.environ["AWS_ENDPOINT_URL"], 1500) as (url, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(StoreUnavailable):
            fetch(f"{bucket}/v1", tmp_path / "copy")


@contextmanager
def serving(answer: Callable[[str, str], str]) -> Iterator[str]:
    """Serve what `answer` returns for a path and a body; yield the server's URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            content = answer(self.path, body).encode()
            self.send_response(200 if content else 403)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch


STS = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>web</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
<SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


def test_credentials_come_from_a_web_identity(no_variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("the token")
    asked = []

    def answer(path: str, body: str) -> str:
        asked.append(parse_qs(body or urlsplit(path).query))
        return STS

    with serving(answer) as url:
        no_variables.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
        no_variables.setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/models")
        no_variables.setenv("AWS_ENDPOINT_URL_STS", url)
        provider = find_provider()
        assert provider is not None
        assert (provider.retrieve().access_key, provider.retrieve().session_token) == ("web", "t")
        assert find_provider() is provider  # asked once for all stores
    assert asked[0]["WebIdentityToken"] == ["the token"]
    assert len(asked) == 1


def test_a_web_identity_that_is_not_accepted_is_no_anonymous_request(
    no_variables: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("expired")
    with serving(lambda *_: "") as url:
        no_variables.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
        no_variables.setenv("AWS_ENDPOINT_URL_STS", url)
        with pytest.raises(StoreUnavailable, match="AWS_WEB_IDENTITY_TOKEN_FILE: no credentials"):
            read_manifest("s3://models/v1")


def test_credentials_come_from_a_container_or_a_file(no_variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    document = {"AccessKeyId": "task", "SecretAccessKey": "s", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"}
    with serving(lambda *_: json.dumps(document)) as url:
        no_variables.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/credentials")
        provider = find_provider()
        assert provider is not None
        assert provider.retrieve().access_key == "task"
    file = tmp_path / "shared"
    file.write_text("[default]\naws_access_key_id = shared\naws_secret_access_key = s\n")
    no_variables.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    provider = find_provider()
    assert provider is not None
    assert provider.retrieve().access_key == "shared"


def shared(key: str) -> str:
    return f"[default]\naws_access_key_id = {key}\naws_secret_access_key = s\n"


def test_credentials_that_a_mounted_secret_changes_are_used_for_the_next_request(
    no_variables: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A Secret's files are links to a folder that the kubelet exchanges; the process goes on."""
    for version, key in (("1", "before"), ("2", "after")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "credentials").write_text(shared(key))
    (tmp_path / "data").symlink_to("1")
    no_variables.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "data" / "credentials"))
    no_variables.setenv("AWS_REGION", "us-east-1")
    used: list[str] = []

    class Store(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            used.append(self.headers["Authorization"].split("Credential=")[1].split("/")[0])
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    no_variables.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    store = S3Store.from_environment()
    store.read_manifest(parse_uri("s3://models/v1"))
    (tmp_path / "new").symlink_to("2")
    (tmp_path / "new").rename(tmp_path / "data")
    store.read_manifest(parse_uri("s3://models/v1"))
    server.shutdown()
    server.server_close()
    assert used == ["before", "after"], "the same store, and no restart"


@pytest.mark.parametrize("content", ["", "[default", "[default]\naws_access_key_id = half\n"])
def test_a_credentials_file_that_is_being_written_does_not_interrupt(
    no_variables: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "shared"
    file.write_text(shared("before"))
    no_variables.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    provider = find_provider()
    assert provider is not None
    file.write_text(content)
    assert provider.retrieve().access_key == "before"
    file.write_text(shared("after"))
    assert provider.retrieve().access_key == "after"


def test_without_credentials_requests_are_anonymous(no_variables: pytest.MonkeyPatch) -> None:
    no_variables.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert find_provider() is None


def test_a_publication_survives_an_outage(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_source(tmp_path / "source", {"weights": b"w"})
    endpoint, pauses = os.environ["AWS_ENDPOINT_URL"], []

    def recover(pause: float) -> None:
        pauses.append(pause)
        if len(pauses) == 2:
            monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        published = retry_unavailable(lambda: publish_model(source, f"{bucket}/v1"), 600, recover)
    assert pauses == [1, 2]
    assert read_manifest(f"{bucket}/v1") == published


def test_retries_end_and_other_errors_are_not_retried() -> None:
    now, calls = [0.0], []

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def unavailable() -> None:
        calls.append(now[0])
        raise StoreUnavailable("s3://m/v1", "down")

    with pytest.raises(StoreUnavailable, match="down"):
        retry_unavailable(unavailable, 100, sleep, lambda: now[0])
    assert calls == [0, 1, 3, 7, 15, 31, 61, 91]
    with pytest.raises(ArtifactError, match="invalid"):
        retry_unavailable(lambda: _invalid(calls), 100, sleep, lambda: now[0])
    assert calls[8:] == [-1]


def _invalid(calls: list[float]) -> None:
    calls.append(-1)
    raise ArtifactError("s3://m/v1", "invalid")
