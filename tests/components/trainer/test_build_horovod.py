"""Unpacking Horovod's source package, with and without tarfile's own filter."""

import importlib.util
import io
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "components" / "trainer" / "build_horovod.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_horovod", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["with tarfile's filter", "without it, as in Python 3.11.2"])
def unpack(request: pytest.FixtureRequest, script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    if request.param.startswith("without"):
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    return script


def _member(name: str, *, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, link, mode
    return member


def _archive(folder: Path, *members: tarfile.TarInfo) -> Path:
    path = folder / "package.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            content = b"content" if member.isreg() else b""
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_files_and_folders_are_unpacked(tmp_path: Path, unpack: ModuleType) -> None:
    members = [
        _member("horovod/", kind=tarfile.DIRTYPE, mode=0o755),
        _member("horovod/setup.py"),
        _member("horovod/configure", mode=0o4777),
    ]
    target = tmp_path / "work"
    target.mkdir()
    unpack.unpack(_archive(tmp_path, *members), target)
    assert (target / "horovod" / "setup.py").read_bytes() == b"content"
    assert (target / "horovod" / "configure").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize(
    "member",
    [
        _member("../outside"),
        _member("horovod/../../outside"),
        _member("/tmp/fairlead-outside"),
        _member("horovod/link", kind=tarfile.SYMTYPE, link="/etc"),
        _member("horovod/link", kind=tarfile.LNKTYPE, link="../outside"),
        _member("horovod/device", kind=tarfile.CHRTYPE),
        _member("horovod/pipe", kind=tarfile.FIFOTYPE),
    ],
    ids=lambda member: f"{member.name} ({member.type.decode()})",
)
def test_what_does_not_belong_into_the_folder_is_rejected_before_anything_is_written(
    tmp_path: Path, unpack: ModuleType, member: tarfile.TarInfo
) -> None:
    target = tmp_path / "work"
    target.mkdir()
    archive = _archive(tmp_path, _member("horovod/setup.py"), member)
    with pytest.raises(unpack.BuildError, match=r"package\.tar\.gz: .*: expected a file or folder inside the package"):
        unpack.unpack(archive, target)
    assert not list(target.iterdir())
