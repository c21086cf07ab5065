"""Sources: folders, HTTP, the object store, artifacts, databases and made-up tables."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
from fairlead_artifacts import publish
from fairlead_data_ingest.source import Synthetic
from fairlead_data_ingest.sources import downloads
from fairlead_data_ingest.sources.synthetic import make_table

from tests.support.object_stores import ObjectStore

from .conftest import Kitchen

CONTENT = ("id,x\n" + "".join(f"{i},{i % 7}\n" for i in range(400_000))).encode()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT in several bad ways, by the path."""

    failures: ClassVar[dict[str, int]] = {}
    ranges: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        times = self.failures[path] = self.failures.get(path, 0) + 1
        if path == "/moved/data.csv":
            return self.answer(302, b"", Location="/data.csv?signature=secret")
        if path == "/loop":
            return self.answer(302, b"", Location="/loop")
        if path == "/busy/data.csv" and times < 3:
            return self.answer(503, b"busy")
        if path in ("/none.csv", "/broken.csv"):
            return self.answer(404 if path == "/none.csv" else 500, b"")
        start = 0
        if asked := self.headers.get("Range"):
            self.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        etag = f'"{times}"' if path == "/changing/data.csv" else '"1"'
        if start and self.headers.get("If-Range") != etag:
            start = 0
        body = CONTENT[start:]
        # The first connections end in the middle.
        cut = path in ("/dropping/data.csv", "/changing/data.csv") and times < 3
        return self.answer(206 if start else 200, body[: len(body) // 2] if cut else body, len(body), ETag=etag)

    def answer(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output short."""


@pytest.fixture
def server() -> Iterator[str]:
    """Return the URL of a server on this machine."""
    Handler.failures.clear()
    Handler.ranges.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def url(address: str, **more: Any) -> dict[str, Any]:
    return {"source": {"url": address, **more}, "output": {"format": "npz"}}


def signed(**more: Any) -> dict[str, Any]:
    return {"source": {"urlVariable": "RAW", **more}, "output": {"format": "npz"}}


@pytest.mark.parametrize("path", ["/data.csv", "/moved/data.csv", "/busy/data.csv", "/dropping/data.csv"])
def test_a_file_is_downloaded_whole(
    kitchen: Kitchen, server: str, path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAW", f"{server}{path}?X-Amz-Signature=secret#secret")
    manifest = kitchen.make(signed(sha256=SHA256))
    origin = manifest.parameters["source"]
    assert origin == {"kind": "url", "url": f"{server}{path}", "bytes": len(CONTENT), "sha256": SHA256}
    assert len(kitchen.arrays()["data"]["x"]) == 400_000
    assert bool(Handler.ranges) == (path == "/dropping/data.csv")
    assert "secret" not in (kitchen.fetch() / "recipe.json").read_text() + capsys.readouterr().out
    monkeypatch.setenv("RAW", f"{server}{path}?X-Amz-Signature=other")
    assert kitchen.make(signed(sha256=SHA256)).digest == manifest.digest


@pytest.mark.parametrize(
    ("path", "more", "code", "message"),
    [
        ("/none.csv", {}, 2, "/none.csv: the server answered 404, expected the file"),
        ("/data.csv", {"sha256": "0" * 64}, 2, f"/data.csv: sha256 is {SHA256}, expected 000"),
        ("/data.csv", {"sizeLimit": 1000}, 2, "bytes, expected at most source.sizeLimit: 1,000"),
        ("/changing/data.csv", {}, 1, "/changing/data.csv: the download failed: HTTPError: the server answered 200"),
        ("/broken.csv", {}, 1, "/broken.csv: the download failed: "),
        ("/loop", {}, 1, "/loop: the download failed: ResponseError: too many redirects"),
    ],
)
def test_a_download_that_is_not_as_expected_publishes_nothing(
    kitchen: Kitchen, server: str, path: str, more: dict[str, Any], code: int, message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("RAW", f"{server}{path}?key=secret")
    found = kitchen.reject(signed(**more), code)
    assert message in found
    assert "secret" not in found


def test_a_server_that_does_not_answer_is_named(kitchen: Kitchen) -> None:
    assert "http://127.0.0.1:9/data.csv: the download failed: " in kitchen.reject(url("http://127.0.0.1:9/data.csv"), 1)


def test_a_download_that_never_ends_is_given_up(kitchen: Kitchen, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "MAX_SECONDS", -1.0)
    assert "bytes in -1 s, expected the whole file" in kitchen.reject(url(f"{server}/data.csv"), 1)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("https://me:hunter2@example.com/data.csv", "source.url: got a URL with a user or a password, expected http"),
        ("https://example.com/d.csv?sig=hunter2", "source.url: got a URL with a query or a fragment, expected one"),
        ("https://example.com/d.csv#hunter2", "name the whole URL's urlVariable or urlFile"),
        ("https://example.com/d .csv?sig=hunter2", "source.url: got what is no URL"),
    ],
)
def test_a_url_with_secrets_is_rejected(kitchen: Kitchen, address: str, message: str) -> None:
    found = kitchen.reject(url(address))
    assert message in found
    assert "hunter2" not in found


@pytest.mark.parametrize("content", ["", "hunter2 is no url", "https://me:hunter2@example.com/data.csv"])
def test_a_mounted_url_that_is_none_is_named_without_its_content(kitchen: Kitchen, content: str) -> None:
    (kitchen.folder / "url").write_text(content)
    found = kitchen.reject({"source": {"urlFile": "url"}})
    assert "url: got " in found
    assert "hunter2" not in found


def test_objects_and_artifacts_of_an_s3_store_are_read_and_written(
    kitchen: Kitchen, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in object_store.variables().items():
        monkeypatch.setenv(name, value)
    (kitchen.folder / "d.csv").write_bytes(CONTENT[:4000].rpartition(b"\n")[0])
    object_store.client.fput_object("data", "raw/d.csv", str(kitchen.folder / "d.csv"))
    kitchen.uri = "s3://data/first"
    first = kitchen.make({"source": {"object": "s3://data/raw/d.csv"}})
    source: Any = first.parameters["source"]
    assert (source["object"], source["kind"], first.parents) == ("s3://data/raw/d.csv", "object", ())
    kitchen.uri = "s3://data/second"
    split = {"split": {}, "output": {"format": "parquet"}}
    second = kitchen.make({"source": {"artifact": "s3://data/first", "digest": first.digest}, **split})
    (parent,) = second.parents
    assert (parent.name, parent.digest, parent.uri) == ("source", first.digest, "s3://data/first")
    assert {entry.path for entry in second.files} == {"recipe.json", "train.parquet", "eval.parquet"}
    assert kitchen.run({"source": {"object": "s3://data/raw/none.csv"}}) == 2
    assert "s3://data/raw/none.csv: file 'none.csv' is missing" in kitchen.errors()


def test_an_artifact_with_another_digest_or_kind_is_no_source(kitchen: Kitchen) -> None:
    kitchen.write({"a/d.csv": "id\n1\n"})
    uri = f"{kitchen.folder.as_uri()}/a-store"
    publish(kitchen.folder / "a", uri, kind="report", producer="tests/0")
    assert "is of kind 'report', expected 'dataset'" in kitchen.reject({"source": {"artifact": uri}})
    wrong = {"source": {"artifact": uri, "digest": f"sha256:{'0' * 64}"}}
    assert "expected sha256:000" in kitchen.reject(wrong)
    assert "no artifact found" in kitchen.reject({"source": {"artifact": f"{uri}-none"}})


def test_a_made_up_table_is_the_same_for_the_same_seed_and_can_be_learned(kitchen: Kitchen) -> None:
    wanted = {"rows": 3000, "features": 8, "informative": 4, "classes": 3, "separation": 1.5, "seed": 4}
    recipe = {
        "source": {"synthetic": wanted},
        "split": {"stratify": "label"},
        "output": {"label": "label", "format": "npz"},
    }
    first = kitchen.make(recipe)
    kitchen.uri += "2"
    assert kitchen.make(recipe).digest == first.digest
    arrays = kitchen.arrays()
    centers = np.stack([arrays["train"]["x"][arrays["train"]["y"] == label].mean(axis=0) for label in range(3)])
    distances = np.linalg.norm(arrays["eval"]["x"][:, None] - centers[None], axis=2)
    assert float((distances.argmin(axis=1) == arrays["eval"]["y"]).mean()) > 0.9
    noise = make_table(Synthetic(rows=3000, features=8, informative=4, classes=3, seed=4)).select(["x4", "x7"])
    assert all(abs(np.asarray(column).mean()) < 0.1 for column in noise.columns)


def test_a_made_up_table_that_is_too_large_is_rejected_before_it_is_made(kitchen: Kitchen) -> None:
    wanted = {"rows": 10_000_000, "features": 10_000}
    assert "synthetic: got 800,000,000,000 bytes" in kitchen.reject({"source": {"synthetic": wanted}})


def test_what_a_folder_may_not_have(kitchen: Kitchen) -> None:
    kitchen.write({"d/a.csv": "id\n1\n", "d/b.txt.gz": b"\x1f\x8b"})
    assert "source: got a.csv, b.txt.gz; expected CSV or parquet files" in kitchen.reject({"source": {"path": "d"}})
    assert "no file matches '*.parquet'" in kitchen.reject({"source": {"path": "d", "files": "*.parquet"}})
    assert "no such file or folder" in kitchen.reject({"source": {"path": "none"}})
    assert "expected at most source.sizeLimit: 3" in kitchen.reject({"source": {"path": "d", "sizeLimit": 3}})
    (kitchen.folder / "d" / "link.csv").symlink_to("/etc/passwd")
    assert "link.csv: is a link" in kitchen.reject({"source": {"path": "d"}})
