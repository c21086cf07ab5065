"""Files of API keys: what is read, what is rejected without being said, and what happens when they change."""

import logging
from pathlib import Path

import pytest
from fairlead_graph.auth.keys import MAX_BYTES, MAX_FILES, MAX_KEYS, ApiKeys, InvalidKeys, read_keys
from fairlead_graph.errors import InvalidGraph
from fairlead_graph.settings import TrafficSettings
from fairlead_graph.traffic.key import TrafficKey

OLD, NEW = b"the-old-key-of-a-client", b"the-new-key-of-a-client"
SHORT = b"too-short"


class Clock:
    """A time that only moves when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock."""
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file with a key."""
    path = tmp_path / "keys"
    path.write_bytes(OLD + b"\n")
    return path


def test_blank_lines_and_comments_are_no_keys(file: Path) -> None:
    file.write_bytes(b"# of the shop\r\n" + OLD + b"\r\n\n  \n\t" + NEW + b" \n#" + b"x" * 20 + b"\n" + OLD)
    assert read_keys(file).keys == (OLD, NEW)


def test_all_files_of_a_folder_are_read_but_for_the_kubelets(tmp_path: Path) -> None:
    data = tmp_path / "..2026"
    data.mkdir()
    (data / "shop").write_bytes(OLD)
    (data / "app").write_bytes(NEW)
    (tmp_path / "..data").symlink_to(data.name)
    for name in ("shop", "app"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    assert read_keys(tmp_path).keys == (NEW, OLD)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (SHORT, "got a key of 9 characters, expected 16 to 512"),
        (b"x" * 513, "got a key of 513 characters, expected 16 to 512"),
        (b"a key with spaces in it", "got other characters, expected printable ASCII without spaces"),
        ("schlüssel-des-ladens".encode(), "got other characters, expected printable ASCII without spaces"),
        (b"a-key-with-a\0-in-it", "got other characters, expected printable ASCII without spaces"),
    ],
)
def test_an_invalid_key_is_an_error_that_names_the_line_and_not_the_key(
    file: Path, line: bytes, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_bytes(b"# keys\n" + OLD + b"\n" + line)
    with pytest.raises(InvalidGraph) as caught:
        ApiKeys(file)
    assert str(caught.value) == f"FAIRLEAD_API_KEYS_FILE: {file}: line 3: {problem}"
    assert not caplog.records


def test_a_file_without_keys_is_an_error(file: Path) -> None:
    for content in (b"", b"\n# nothing\n"):
        file.write_bytes(content)
        with pytest.raises(InvalidGraph, match=r"got no keys, expected at least one$"):
            ApiKeys(file)
    file.unlink()
    with pytest.raises(InvalidGraph, match=r"cannot be read: No such file or directory$"):
        ApiKeys(file)


def test_files_are_bounded_in_size_and_number(file: Path, tmp_path: Path) -> None:
    file.write_bytes(b"#" * (MAX_BYTES - len(OLD) - 1) + b"\n" + OLD)
    assert read_keys(file).keys == (OLD,)
    file.write_bytes(b"#" * (MAX_BYTES - len(OLD)) + b"\n" + OLD)
    with pytest.raises(InvalidKeys, match=f"got more bytes, expected at most {MAX_BYTES}$"):
        read_keys(file)
    with pytest.raises(InvalidGraph, match="got more bytes"):
        ApiKeys(file)
    file.write_bytes(b"\n".join(b"key-%016d" % number for number in range(MAX_KEYS + 1)))
    with pytest.raises(InvalidKeys, match=f"got {MAX_KEYS + 1} keys, expected at most {MAX_KEYS}$"):
        read_keys(file)
    for number in range(MAX_FILES):
        (tmp_path / f"{number}").write_bytes(OLD)
    with pytest.raises(InvalidKeys, match=f"got {MAX_FILES + 1} files, expected at most {MAX_FILES}$"):
        read_keys(tmp_path)


def test_keys_rotate_by_adding_and_removing_lines(file: Path, clock: Clock) -> None:
    keys = ApiKeys(file, clock)
    assert (keys.match(OLD), keys.match(NEW), len(keys)) == (True, False, 1)
    file.write_bytes(OLD + b"\n" + NEW)
    assert not keys.match(NEW)  # read at most once a second
    clock.now = 1.0
    assert (keys.match(OLD), keys.match(NEW), len(keys)) == (True, True, 2)
    file.write_bytes(NEW)
    clock.now = 2.0
    assert (keys.match(OLD), keys.match(NEW), len(keys)) == (False, True, 1)
    file.write_bytes(OLD + b"\n" + NEW)
    clock.now = 3.0
    assert len(keys) == 2  # for the metric, if no request asks


def test_a_part_of_a_key_is_no_key(file: Path) -> None:
    keys = ApiKeys(file)
    assert not any(keys.match(other) for other in (b"", OLD[:-1], OLD + b"x", OLD.upper()))


def test_a_removed_key_is_unknown_even_if_another_line_breaks(
    file: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    keys = ApiKeys(file, clock)
    file.write_bytes(NEW + b"\n" + SHORT)
    for clock.now in (1.0, 2.0):
        assert (keys.match(OLD), keys.match(NEW), keys.match(SHORT)) == (False, True, False)
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.reason for record in errors] == [  # type: ignore[attr-defined]  # once, not at each reading
        f"{file}: line 2: got a key of 9 characters, expected 16 to 512"
    ]
    file.write_bytes(b"")
    clock.now = 3.0
    assert not keys.match(NEW)


def test_keys_stay_in_force_while_the_file_cannot_be_read(
    file: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    keys = ApiKeys(file, clock)
    file.unlink()
    clock.now = 1.0
    assert keys.match(OLD)
    file.write_bytes(b"#" * (MAX_BYTES + 1))
    clock.now = 2.0
    assert keys.match(OLD)
    reasons = [record.reason for record in caplog.records]  # type: ignore[attr-defined]
    assert len(reasons) == 2
    assert all(reason.endswith("; the keys before stay in force") for reason in reasons)
    file.write_bytes(NEW)
    clock.now = 3.0
    assert (keys.match(OLD), keys.match(NEW)) == (False, True)


def test_a_new_traffic_key_makes_new_passes(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "traffic.key"
    path.write_text(("a" * 32).encode().hex())
    one = TrafficKey(TrafficSettings("stable", b"a" * 32, None, path), clock)
    other = TrafficKey(TrafficSettings("next", b"b" * 32, None, None), clock)
    assert one.is_pass(one.make_pass().encode())
    assert not one.is_pass(other.make_pass().encode())
    assert not other.is_pass(one.make_pass().encode())
    path.write_text(("b" * 32).encode().hex())
    # wrong passes do not make it read the file more than once a second
    assert not one.is_pass(other.make_pass().encode())
    clock.now = 1.0
    assert one.is_pass(other.make_pass().encode())
    assert other.is_pass(one.make_pass().encode())
