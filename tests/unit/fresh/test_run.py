"""`make fresh` apart from the system itself: its lock, its options, caches, environment and safety checks."""

import fcntl
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.fresh import run as fresh
from tests.fresh.run import Result

DOWNLOADS = ["/root/.cache/pip", "/root/.cache/uv", "/root/go/pkg/mod", "/var/cache/apt/archives"]


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Replace what needs root by functions that note what they were called with; returns the notes."""
    notes: list[tuple[Any, ...]] = []

    def run(system: Path, command: str, caches: dict[Path, str], _: Console) -> Result:
        assert _locked(system.parent), "another run could have begun"
        notes.append((command, system, sorted(caches.values())))
        return Result(command, 1.0, 3 if command == "fails" else 0)

    def unpack(archive: Path, root: Path) -> Path:
        assert _locked(root.parent), "another run could have begun"
        notes.append(("unpack", archive))
        return root

    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path))
    monkeypatch.setattr(fresh, "find_problem", lambda: "")
    monkeypatch.setattr(fresh, "warn_of_changes", lambda _: None)
    monkeypatch.setattr(fresh, "make_archive", lambda home, _: home / "archive.tar")
    monkeypatch.setattr(fresh, "unpack", unpack)
    monkeypatch.setattr(fresh, "run", run)
    monkeypatch.setattr(fresh, "remove", lambda folder: notes.append(("remove", folder)))
    return notes


def _locked(home: Path) -> bool:
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _main(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["run.py", *words])
    return fresh.main()


def test_the_readmes_commands_run_and_the_system_is_removed(
    tmp_path: Path, ran: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "fresh" / "root"
    assert _main(monkeypatch) == 0
    unpacked = ("unpack", tmp_path / "fresh" / "archive.tar")
    assert ran == [unpacked, ("make demo", root, DOWNLOADS), ("make test", root, DOWNLOADS), ("remove", root)]
    assert not _locked(tmp_path / "fresh"), "the lock ends with the run"


def test_options_name_commands_and_keep_the_system(ran: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    assert _main(monkeypatch, "--cold", "--keep", "fails", "make help") == 1
    assert [(note[0], note[-1]) for note in ran[1:]] == [("fails", []), ("make help", [])]


def test_builds_are_shared_if_asked_for_and_not_if_nothing_is_cached(
    ran: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _main(monkeypatch, "--share-builds", "make demo") == 0
    assert ran[1][-1] == sorted([*DOWNLOADS, "/root/.cache/go-build", "/root/.fairlead/wheels"])
    with pytest.raises(SystemExit):
        _main(monkeypatch, "--share-builds", "--cold")
    assert "argument --share-builds: not allowed with argument --cold" in capsys.readouterr().err


def test_a_second_run_is_rejected_while_the_first_uses_the_folder(
    tmp_path: Path,
    ran: list[tuple[Any, ...]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home = tmp_path / "[home]"
    monkeypatch.setenv("FAIRLEAD_HOME", str(home))
    (home / "fresh").mkdir(parents=True)
    hold = (
        "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX); print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, home / "fresh" / "lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        first.stdout.readline()
        assert _main(monkeypatch) == 2
        assert ran == []
        text = "".join(capsys.readouterr().out.split())
        assert f"anotheroneuses{home}/fresh;waitforitsend" in text
        first.communicate("\n")
    assert _main(monkeypatch) == 0, "the lock of a process ends with it"


def test_an_ordinary_user_gets_the_reason(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(fresh.os, "geteuid", lambda: 1000)
    assert _main(monkeypatch) == 2
    assert "got an ordinary user, expected root" in capsys.readouterr().out


def test_only_variables_of_the_registries_are_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*fresh.PASSED_ON, *fresh.CERTIFICATE_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOPROXY", "https://proxy.example")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("VIRTUAL_ENV", "/somewhere")
    plain = {"HOME", "PATH", "LANG", "TERM", "USER"}
    assert fresh.build_environment().keys() == plain | {"GOPROXY"}
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent.pem"))
    assert fresh.build_environment().keys() == plain | {"GOPROXY"}, "a file that is absent is not trusted"
    (tmp_path / "bundle.pem").touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "bundle.pem"))
    environment = fresh.build_environment()
    assert {environment[name] for name in fresh.CERTIFICATE_VARIABLES} == {fresh.CERTIFICATES}


def test_downloads_are_shared_and_builds_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    monkeypatch.setenv("GOMODCACHE", "/modules")
    caches = fresh.find_caches(tmp_path, builds=False)
    assert {str(path) for path in caches} == {"/cache/uv", "/cache/pip", "/modules", f"{tmp_path}/apt-archives"}
    assert not any("go-build" in inside or inside.startswith(fresh.CLONE) for inside in caches.values())


def test_a_system_in_which_something_is_mounted_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = tmp_path / "a home" / "root"
    (system / "dev").mkdir(parents=True)
    mounts = "proc /proc proc rw 0 0\ndevtmpfs {} devtmpfs rw 0 0\n"
    # as the kernel writes it
    table = mounts.format(str(system / "dev").replace(" ", "\\040"))
    monkeypatch.setattr(fresh, "read_mounts", lambda: table)
    with pytest.raises(SystemExit, match=r"/a home/root/dev is mounted; unmount it first"):
        fresh.remove(system)
    assert (system / "dev").is_dir()
    fresh.remove(tmp_path / "a home" / "root2")
    monkeypatch.setattr(fresh, "read_mounts", lambda: mounts.format("/dev"))
    fresh.remove(system)
    assert not system.exists()


def test_the_archive_is_made_once_for_a_list_of_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[str] = []

    def run(words: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        commands.append(words[0])
        if words[0] == "tar":
            Path(words[words.index("-cf") + 1]).write_text("archive")
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(fresh.subprocess, "run", run)
    first = fresh.make_archive(tmp_path, Console(quiet=True))
    assert fresh.make_archive(tmp_path, Console(quiet=True)) == first
    assert commands == ["debootstrap", "tar"]
    monkeypatch.setattr(fresh, "PACKAGES", ("git",))
    assert fresh.make_archive(tmp_path, Console(quiet=True)) != first


def test_a_failed_debootstrap_leaves_no_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(fresh.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(SystemExit, match=r"debootstrap failed; see .*debootstrap\.log"):
        fresh.make_archive(tmp_path, Console(quiet=True))
    assert not list(tmp_path.glob("*.tar"))


def test_the_table_shows_each_commands_result() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(fresh.build_table([Result("make demo", 61.4, 0), Result("make test", 5.0, 2)], "nothing"))
    text = console.export_text()
    assert "nothing cached" in " ".join(text.split())
    assert [line.split("│")[1:4] for line in text.splitlines() if "make" in line] == [
        [" make demo ", " passed     ", "      61 "],
        [" make test ", " failed (2) ", "       5 "],
    ]
