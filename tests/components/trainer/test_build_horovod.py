"""Unpacking Horovod's source package, with and without tarfile's own filter."""

import importlib.util
import io
import tarfile
from pathlib import Path
from types import ModuleType, SimpleNamespace

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


@pytest.fixture
def site(tmp_path: Path, script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the files of PyPI's torch with CUDA, which is the torch that the script finds."""
    folder = tmp_path / "site"
    cuda = folder / "nvidia" / "cu13"
    nccl = folder / "nvidia" / "nccl"
    for path in (cuda / "include", cuda / "nvvm"):
        path.mkdir(parents=True)
    files = (
        folder / "torch" / "lib" / "libtorch_cuda.so", cuda / "bin" / "nvcc", cuda / "lib" / "libcudart.so.13",
        nccl / "include" / "nccl.h", nccl / "lib" / "libnccl.so.2",
    )  # fmt: skip
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(file.name)
    monkeypatch.delenv("CUDA_HOME", raising=False)
    monkeypatch.setattr(script.importlib.metadata, "distribution", lambda _: _distribution(folder))
    return folder


def _distribution(folder: Path) -> SimpleNamespace:
    """Return a distribution in a folder."""
    return SimpleNamespace(locate_file=lambda path: folder / path)


def test_a_build_with_nccl_links_against_the_libraries_of_torch(tmp_path: Path, script: ModuleType, site: Path) -> None:
    folder = tmp_path / "cuda"
    variables = script.configure_gpu(folder, {"PATH": "/usr/bin"})
    assert variables["HOROVOD_GPU_OPERATIONS"] == "NCCL"
    assert (Path(variables["HOROVOD_NCCL_INCLUDE"]) / "nccl.h").exists()
    # the names that linkers look for, which the packages lack
    assert (Path(variables["HOROVOD_NCCL_LIB"]) / "libnccl.so").read_text() == "libnccl.so.2"
    assert (Path(variables["CUDA_HOME"]) / "lib64" / "libcudart.so").read_text() == "libcudart.so.13"
    # nvcc looks beside the folder that it lies in, so that must be no link to another place
    assert (folder / "bin" / "nvcc").resolve().parents[1] == folder.resolve()
    assert variables["PATH"] == f"{folder / 'bin'}:/usr/bin"


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        ("torch/lib/libtorch_cuda.so", "torch: got a build without CUDA, expected torch's CUDA build"),
        ("nvidia/cu13/bin/nvcc", "bin/nvcc: not found in CUDA_HOME or torch's packages; install .*requirements-build"),
        ("nvidia/nccl/include/nccl.h", r"nccl\.h: not found .*; install nvidia-nccl of torch's version"),
    ],
)
def test_what_a_build_with_nccl_lacks_is_named(
    tmp_path: Path, script: ModuleType, site: Path, removed: str, message: str
) -> None:
    (site / removed).unlink()
    with pytest.raises(script.BuildError, match=message):
        script.configure_gpu(tmp_path / "cuda", {})


def test_a_toolkit_of_the_system_is_used_where_cuda_home_names_it(
    tmp_path: Path, script: ModuleType, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site / "nvidia" / "cu13").rename(tmp_path / "toolkit")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "toolkit"))
    variables = script.configure_gpu(tmp_path / "cuda", {"HOROVOD_BUILD_CUDA_CC_LIST": "90"})
    assert (Path(variables["CUDA_HOME"]) / "bin" / "nvcc").exists()
    assert variables["HOROVOD_BUILD_CUDA_CC_LIST"] == "90"
