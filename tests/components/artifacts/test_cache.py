"""The cache of datasets on a volume: fetched once, verified at each use, continued after a kill, bounded."""

import contextlib
import errno
import fcntl
import multiprocessing
import os
import shutil
import signal
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fairlead_artifacts import ArtifactError, Cache, CacheUnusable, Manifest, StoreUnavailable, fetch, publish
from fairlead_artifacts import cache as module
from fairlead_artifacts.local_store import LocalStore
from fairlead_artifacts.streams import LocalFile, Readable, _local_errors
from fairlead_artifacts.uri import Location

MIB = 1 << 20


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", 10 * MIB)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Return the files that were read from the store, and from which byte on."""
    found: list[tuple[str, int]] = []
    original = LocalStore.open_file

    def open_file(self: LocalStore, location: Location, path: str, offset: int = 0) -> AbstractContextManager[Readable]:
        found.append((path, offset))
        return original(self, location, path, offset)

    monkeypatch.setattr(LocalStore, "open_file", open_file)
    return found


def publish_dataset(tmp_path: Path, name: str, *sizes: int) -> tuple[str, Manifest]:
    source = tmp_path / f"source-{name}"
    (source / "sub").mkdir(parents=True)
    for index, size in enumerate(sizes):
        (source / "sub" / f"{name}-{index}.bin").write_bytes(os.urandom(size))
    uri = (tmp_path / "store" / name).as_uri()
    return uri, publish(source, uri, kind="dataset", producer="t/1")


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_dataset_is_fetched_once_and_then_needs_no_store(
    tmp_path: Path, cache: Cache, reads: list[tuple[str, int]]
) -> None:
    uri, published = publish_dataset(tmp_path, "a", 1000, 3 * MIB)
    expected = fetch(uri, tmp_path / "plain") and content(tmp_path / "plain")
    reads.clear()
    first = cache.open(uri, published.digest)
    assert (first.manifest, content(first.folder)) == (published, expected)
    assert len(reads) == 2
    shutil.rmtree(tmp_path / "store")
    again = cache.open(uri, published.digest)
    assert (again.folder, len(reads)) == (first.folder, 2)


def test_without_a_digest_the_store_says_which_dataset_it_is(tmp_path: Path, cache: Cache) -> None:
    uri, published = publish_dataset(tmp_path, "a", 1000)
    assert cache.open(uri).manifest == published
    shutil.rmtree(tmp_path / "store")
    other, newer = publish_dataset(tmp_path / "new", "a", 1000)
    shutil.move(tmp_path / "new" / "store", tmp_path / "store")
    assert cache.open(uri).manifest == newer != published
    assert other


def test_files_in_the_cache_cannot_be_written(tmp_path: Path, cache: Cache) -> None:
    uri, _ = publish_dataset(tmp_path, "a", 1000)
    folder = cache.open(uri).folder
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}
    assert modes == {0o444}


def test_workers_that_begin_together_fetch_once(tmp_path: Path, cache: Cache, reads: list[tuple[str, int]]) -> None:
    uri, published = publish_dataset(tmp_path, "a", *[100_000] * 20)
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: cache.open(uri, published.digest), range(8)))
    assert {one.folder for one in opened} == {opened[0].folder}
    assert len(reads) == 20


def test_a_worker_that_is_killed_leaves_its_lock_and_what_it_has_fetched(
    tmp_path: Path, cache: Cache, reads: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, published = publish_dataset(tmp_path, "a", 1000, 4 * MIB)
    original, stuck = LocalStore.open_file, tmp_path / "stuck"

    @contextmanager
    def stall(self: LocalStore, location: Location, path: str, offset: int = 0) -> Iterator[Readable]:
        with original(self, location, path, offset) as opened:
            yield Stalling(opened, stuck) if path.endswith("a-1.bin") else opened

    monkeypatch.setattr(LocalStore, "open_file", stall)
    context = multiprocessing.get_context("fork")
    victim = context.Process(target=cache.open, args=(uri, published.digest))
    victim.start()
    while not stuck.exists():
        time.sleep(0.02)
    monkeypatch.setattr(LocalStore, "open_file", original)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(cache.open, uri, published.digest)
        time.sleep(1)
        assert not waiting.done(), "it waits for the worker that fetches"
        os.kill(victim.pid or 0, signal.SIGKILL)
        victim.join()
        assert waiting.result(30).manifest == published
    assert reads == [("sub/a-1.bin", 2 * MIB)], "it goes on where the other one was"


class Stalling:
    """Gives two chunks of a file, then waits for ever."""

    def __init__(self, source: Readable, stuck: Path) -> None:
        self._source, self._stuck, self._left = source, stuck, 2

    def read(self, size: int, /) -> bytes:
        """Return a chunk."""
        if not self._left:
            self._stuck.touch()
            time.sleep(600)
        self._left -= 1
        return self._source.read(size)


def test_what_is_there_is_not_fetched_again(tmp_path: Path, cache: Cache, reads: list[tuple[str, int]]) -> None:
    uri, published = publish_dataset(tmp_path, "a", 1000, 4 * MIB, 5000)
    part = tmp_path / "cache" / f"{published.digest.removeprefix('sha256:')}.part" / "files" / "sub"
    part.mkdir(parents=True)
    source = tmp_path / "source-a" / "sub"
    (part / "a-0.bin").write_bytes((source / "a-0.bin").read_bytes())
    (part / "a-1.bin").write_bytes((source / "a-1.bin").read_bytes()[: MIB + 7])
    (part / "a-2.bin").write_bytes(b"x" * 4000)
    assert content(cache.open(uri, published.digest).folder) == content(tmp_path / "source-a")
    assert reads == [("sub/a-1.bin", MIB + 7), ("sub/a-2.bin", 4000), ("sub/a-2.bin", 0)], "what was wrong, anew"


def test_an_interrupted_fetch_is_continued(
    tmp_path: Path, cache: Cache, reads: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, published = publish_dataset(tmp_path, "a", 1000, 2000)
    tmp_path.chmod(0o2775)  # as Kubernetes prepares a volume for a group
    original = LocalStore.open_file

    def fail(self: LocalStore, location: Location, path: str, offset: int = 0) -> AbstractContextManager[Readable]:
        if path.endswith("a-1.bin"):
            raise StoreUnavailable(uri, "down")
        return original(self, location, path, offset)

    monkeypatch.setattr(LocalStore, "open_file", fail)
    with pytest.raises(StoreUnavailable):
        cache.open(uri, published.digest)
    folders = [tmp_path / "cache", *(path for path in (tmp_path / "cache").rglob("*") if path.is_dir())]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folders}
    assert set(modes.values()) == {0o2775}, "pods of other users may remove it"
    assert "sub" in modes
    monkeypatch.setattr(LocalStore, "open_file", original)
    reads.clear()
    assert cache.open(uri, published.digest).manifest == published
    assert reads == [("sub/a-1.bin", 0)]


@pytest.fixture
def s3_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str | None]]]:
    """Serve the published folders as buckets of an S3 store that reads ranges; return the requests and their ranges."""
    asked: list[tuple[str, str | None]] = []

    class Bucket(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            span = self.headers.get("Range")
            asked.append((self.path.rpartition("/")[2], span))
            body = (tmp_path / "store" / self.path.removeprefix("/datasets/")).read_bytes()
            begin = int(span.removeprefix("bytes=").rstrip("-")) if span else 0
            code = 416 if begin >= len(body) else 206 if span else 200
            error = b"<Error><Code>InvalidRange</Code><Message>range</Message></Error>"
            content = error if code == 416 else body[begin:]
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Type", "application/xml" if code == 416 else "application/octet-stream")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in (("ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}"), ("REGION", "us-east-1"),
                        ("ACCESS_KEY_ID", "a"), ("SECRET_ACCESS_KEY", "b")):  # fmt: skip
        monkeypatch.setenv(f"AWS_{name}", value)
    yield asked
    server.shutdown()
    server.server_close()


def test_an_object_is_fetched_from_the_byte_where_its_part_ends(
    tmp_path: Path, cache: Cache, s3_server: list[tuple[str, str | None]]
) -> None:
    _, published = publish_dataset(tmp_path, "a", 1000, 4 * MIB)
    part = tmp_path / "cache" / f"{published.digest.removeprefix('sha256:')}.part" / "files" / "sub"
    part.mkdir(parents=True)
    (part / "a-1.bin").write_bytes((tmp_path / "source-a" / "sub" / "a-1.bin").read_bytes()[: MIB + 7])
    opened = cache.open("s3://datasets/a", published.digest)
    assert content(opened.folder) == content(tmp_path / "source-a")
    assert s3_server == [("manifest.json", None), ("a-0.bin", None), ("a-1.bin", f"bytes={MIB + 7}-")]


def test_an_object_that_is_shorter_than_its_part_is_an_error_of_the_dataset(
    tmp_path: Path, cache: Cache, s3_server: list[tuple[str, str | None]]
) -> None:
    _, published = publish_dataset(tmp_path, "a", 4 * MIB)
    part = tmp_path / "cache" / f"{published.digest.removeprefix('sha256:')}.part" / "files" / "sub"
    part.mkdir(parents=True)
    stored = tmp_path / "store" / "a" / "sub" / "a-0.bin"
    (part / "a-0.bin").write_bytes(stored.read_bytes()[: 2 * MIB])
    stored.write_bytes(stored.read_bytes()[:MIB])
    with pytest.raises(ArtifactError, match=f"got {MIB} bytes, expected {4 * MIB} bytes") as error:
        cache.open("s3://datasets/a", published.digest)
    assert not isinstance(error.value, StoreUnavailable | CacheUnusable)
    assert [span for _, span in s3_server[1:]] == [f"bytes={2 * MIB}-", None], "once more from its start"


@pytest.mark.parametrize("damage", ["flip", "cut", "absent", "extra", "manifest"])
def test_a_damaged_entry_is_noticed_and_fetched_again(
    tmp_path: Path, cache: Cache, damage: str, reads: list[tuple[str, int]], caplog: pytest.LogCaptureFixture
) -> None:
    uri, published = publish_dataset(tmp_path, "a", 1000, 2000)
    entry = cache.open(uri, published.digest)
    entry.close()
    file = entry.folder / "sub" / "a-1.bin"
    file.chmod(0o600)
    if damage == "flip":
        file.write_bytes(b"\x00" * 2000)
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:100])
    elif damage == "absent":
        file.unlink()
    elif damage == "extra":
        (entry.folder / "more.bin").write_bytes(b"x")
    else:
        (entry.folder.parent / "manifest.json").chmod(0o600)
        (entry.folder.parent / "manifest.json").write_bytes(b"{}")
    reads.clear()
    assert content(cache.open(uri, published.digest).folder) == content(tmp_path / "source-a")
    assert len(reads) == 2
    assert damage == "manifest" or "damaged" in caplog.text or "cannot be read" in caplog.text


def test_a_damaged_entry_that_another_worker_uses_is_left_to_it(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DAMAGED_SECONDS", 0.5)
    uri, published = publish_dataset(tmp_path, "a", 1000)
    used = cache.open(uri, published.digest)
    file = used.folder / "sub" / "a-0.bin"
    file.chmod(0o600)
    file.write_bytes(b"\x00" * 1000)
    with pytest.raises(CacheUnusable, match="is damaged, and used by another worker"):
        cache.open(uri, published.digest)
    used.close()
    assert content(cache.open(uri, published.digest).folder) == content(tmp_path / "source-a")


@pytest.mark.parametrize("name", ["lock", "entry"])
def test_a_worker_that_hangs_with_a_lock_holds_up_nobody_for_ever(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(module, "_LOG_SECONDS", 0)
    monkeypatch.setattr(module, "_STALLED_SECONDS", 0.5)
    uri, published = publish_dataset(tmp_path, "a", 1000)
    (tmp_path / "cache").mkdir()
    file = tmp_path / "cache" / ("lock" if name == "lock" else f"{published.digest.removeprefix('sha256:')}.lock")
    with file.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(CacheUnusable, match=r"for (more than )?0\.5 s"):
            cache.open(uri, published.digest)
    assert cache.open(uri, published.digest).manifest == published


def test_what_is_no_entry_is_not_counted(tmp_path: Path, cache: Cache) -> None:
    uri, published = publish_dataset(tmp_path, "a", 9 * MIB)
    large, broken = tmp_path / "large", tmp_path / "cache" / ("b" * 64)
    large.mkdir()
    (large / "file").write_bytes(bytes(9 * MIB))
    broken.mkdir(parents=True)
    (broken / "leads nowhere").symlink_to("/nowhere")
    (tmp_path / "cache" / ("a" * 64)).symlink_to(large)
    assert cache.open(uri, published.digest).manifest == published


def entries(cache: Cache) -> int:
    return sum(len(path.name) == 64 for path in cache._folder.iterdir() if path.is_dir())


def test_the_least_recently_used_datasets_are_evicted(tmp_path: Path, cache: Cache) -> None:
    published = [publish_dataset(tmp_path, name, 3 * MIB) for name in "abcd"]
    for age, (uri, manifest) in enumerate(published[:3]):
        cache.open(uri, manifest.digest).close()
        lock = tmp_path / "cache" / f"{manifest.digest.removeprefix('sha256:')}.lock"
        os.utime(lock, (1000 + age, 1000 + age))
    cache.open(*as_arguments(published[0])).close()  # used again, so that the second one is the oldest
    cache.open(*as_arguments(published[3])).close()
    present = {manifest.digest for _, manifest in published if cache_has(cache, manifest)}
    assert present == {published[index][1].digest for index in (0, 2, 3)}


def as_arguments(dataset: tuple[str, Manifest]) -> tuple[str, str]:
    return dataset[0], dataset[1].digest


def cache_has(cache: Cache, manifest: Manifest) -> bool:
    return (cache._folder / manifest.digest.removeprefix("sha256:")).exists()


def test_what_is_in_use_is_not_evicted(tmp_path: Path, cache: Cache) -> None:
    first, second, third = (publish_dataset(tmp_path, name, 4 * MIB) for name in "abc")
    used = [cache.open(*as_arguments(first)), cache.open(*as_arguments(second))]
    with pytest.raises(CacheUnusable, match=f"{8 * MIB} of {10 * MIB} bytes are in use, expected {4 * MIB} to be free"):
        cache.open(*as_arguments(third))
    assert all(content(one.folder) for one in used)
    used[0].close()
    assert cache.open(*as_arguments(third)).manifest == third[1]
    assert not cache_has(cache, first[1])


def test_what_others_have_begun_to_fetch_counts(tmp_path: Path, cache: Cache) -> None:
    _, published = publish_dataset(tmp_path, "a", 6 * MIB)
    entry = module._Entry(cache._folder, published.digest)
    cache._folder.mkdir()
    lock = module.FileLock(entry.lock)
    assert lock.take(fcntl.LOCK_EX)
    cache._reserve(entry, published)
    other = publish_dataset(tmp_path, "b", 6 * MIB)
    with pytest.raises(CacheUnusable, match="are in use"):
        cache.open(*as_arguments(other))
    lock.close()  # its worker was killed
    cache.open(*as_arguments(other))
    assert not entry.part.exists()


def test_a_dataset_that_is_too_large_is_not_kept(tmp_path: Path, cache: Cache) -> None:
    uri, published = publish_dataset(tmp_path, "a", 11 * MIB)
    with pytest.raises(CacheUnusable, match=f"holds {10 * MIB} bytes, expected {11 * MIB} or more"):
        cache.open(uri, published.digest)


def test_another_digest_is_an_error_of_the_dataset(tmp_path: Path, cache: Cache) -> None:
    uri, _ = publish_dataset(tmp_path, "a", 1000)
    with pytest.raises(ArtifactError, match=r"digest is sha256:\w+, expected sha256:00") as error:
        cache.open(uri, "sha256:" + "00" * 32)
    assert not isinstance(error.value, CacheUnusable)


def test_a_digest_that_is_a_path_is_rejected(tmp_path: Path, cache: Cache) -> None:
    uri, _ = publish_dataset(tmp_path, "a", 1000)
    with pytest.raises(ArtifactError, match="expected sha256:"):
        cache.open(uri, "sha256:../../../etc")
    assert not (tmp_path / "cache").exists()


def test_a_full_volume_makes_the_cache_unusable(tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    uri, published = publish_dataset(tmp_path, "a", 1000)
    monkeypatch.setattr("fairlead_artifacts.streams.LocalFile.write", full)
    with pytest.raises(CacheUnusable, match="No space left"):
        cache.open(uri, published.digest)
    assert not list(cache._folder.glob("*.part")), "the part would only use the space"


def full(self: LocalFile, _: bytes) -> None:
    with _local_errors(self._path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_volume_that_cannot_be_written_makes_the_cache_unusable(tmp_path: Path) -> None:
    uri, _ = publish_dataset(tmp_path, "a", 1000)
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheUnusable):
        Cache(tmp_path / "file", MIB).open(uri)


def test_an_entry_that_is_completed_while_the_entries_are_listed_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path / "cache", 2 * MIB)
    (first, second, third) = [publish_dataset(tmp_path, f"d{index}", 700_000) for index in range(3)]
    used = [cache.open(uri, manifest.digest) for uri, manifest in (first, second)]
    folder = used[1].folder.parent
    part = folder.rename(folder.with_name(f"{folder.name}.part"))
    listed = Path.iterdir

    def iterdir(self: Path) -> Iterator[Path]:
        """Let another worker complete its entry after its old name was read."""
        found = list(listed(self))
        if part in found:
            part.rename(folder)
        yield from found

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(CacheUnusable, match="1400000 of 2097152 bytes are in use"):
        cache.open(third[0], third[1].digest)
    for opened in used:
        opened.close()


def test_many_workers_and_datasets_keep_within_the_bound(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 2 * MIB)
    published = [publish_dataset(tmp_path, f"d{index}", 700_000) for index in range(5)]
    largest, failures, over = [0], [], threading.Event()

    def look() -> dict[tuple[str, int], int]:
        found = {}
        for folder, _, files in os.walk(cache._folder):  # which folders that are removed meanwhile do not disturb
            for name in files:
                with contextlib.suppress(OSError):
                    stat = Path(folder, name).stat()
                    found[name, stat.st_ino] = stat.st_size if name.endswith(".bin") else 0
        return found

    def watch() -> None:
        before: dict[tuple[str, int], int] = {}
        while not over.is_set():
            now = look()
            if now == before:  # else what was removed and what replaced it may both have been seen in one look
                largest[0] = max(largest[0], sum(now.values()))
            before = now

    def work(seed: int) -> None:
        for turn in range(10):
            uri, manifest = published[(seed * 7 + turn * 3) % 5]
            try:
                opened = cache.open(uri, manifest.digest)
            except CacheUnusable:
                continue
            if content(opened.folder) != content(tmp_path / f"source-{uri.rpartition('/')[2]}"):
                failures.append(uri)
            opened.close()

    cache._folder.mkdir()
    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    over.set()
    watcher.join()
    assert failures == []
    assert largest[0] <= 2 * MIB
    assert entries(cache) <= 2
