#!/usr/bin/env python3
"""Build Horovod's wheel from its source package, against the torch of the Python that runs this script.

Horovod 0.28.1 is the last release. It is published as source only and needs a newer C++ standard for current torch.
The Python that runs this script needs torch and the packages in requirements-build.in (or Debian's packages of them).
With --gpu the wheel has NCCL for tensors on GPUs beside Gloo for those in memory. That needs torch's CUDA build and
CUDA's compiler, in CUDA_HOME or from the packages in ../trainer-cuda/requirements-build.in; it needs no GPU.
The last line of output is the wheel's path.
"""
# ruff: noqa: T201 - a script: its output is its interface.

import argparse
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

VERSION = "0.28.1"
SHA256 = "92a43f5a94c43907a56805bad15f19700c62ffc83b7ca483f9e104e229f67ef0"
BUILD_REQUIREMENTS = ("torch", "cmake", "wheel", "packaging", "cloudpickle", "psutil", "pyyaml", "setuptools", "pip")
CMAKE_FILES = ("CMakeLists.txt", "horovod/torch/CMakeLists.txt")
CUDA_FILE = "horovod/common/ops/cuda/CMakeLists.txt"
FASTER = {
    # no debug information and no -O3: memory and network limit reductions, not compiler optimization
    "CMakeLists.txt": (r'"-O2" "-O3" CMAKE_CXX_FLAGS_RELWITHDEBINFO', '"-O2 -g" "-O1" CMAKE_CXX_FLAGS_RELWITHDEBINFO'),
    # unity builds: headers are parsed a few times instead of ninety; one of Gloo's files hides a name of the others
    "third_party/gloo/gloo/CMakeLists.txt": (
        r"add_library\(gloo \$",
        "set(CMAKE_UNITY_BUILD ON)\nset_source_files_properties("
        "${CMAKE_CURRENT_SOURCE_DIR}/allreduce_local.cc PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)\nadd_library(gloo $",
    ),
    "horovod/torch/CMakeLists.txt": (
        r'PROPERTIES PREFIX ""',
        'PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 10 PREFIX ""',
    ),
}
OPTIONS = {
    "HOROVOD_WITH_PYTORCH": "1",
    "HOROVOD_WITH_GLOO": "1",
    "HOROVOD_WITHOUT_TENSORFLOW": "1",
    "HOROVOD_WITHOUT_MXNET": "1",
    "HOROVOD_WITHOUT_MPI": "1",
    # CMake 4 removed the policies that Horovod's bundled libraries require.
    "CMAKE_POLICY_VERSION_MINIMUM": "3.5",
}


GPU_OPTIONS = {
    "HOROVOD_GPU_OPERATIONS": "NCCL",
    # the library that torch has loaded: two copies of NCCL in a process would be two sets of connections
    "HOROVOD_NCCL_LINK": "SHARED",
}
GPU_ARCHITECTURES = "75,80,86,89,90,100,120"
"""NVIDIA's compute capabilities since Turing, times ten; newer GPUs compile the last one's code when they load it."""


class BuildError(Exception):
    """The message names what is missing or failed, and how to fix it."""


@dataclass(frozen=True)
class Toolchain:
    """The compilers that work with one distribution of torch, and the Debian packages that provide them."""

    cc: str
    cxx: str
    flags: str
    debian_packages: str


TOOLCHAINS = {
    # PyPI's torch, on Debian 12 and other systems with g++ 9 to 13.
    "system": Toolchain("gcc", "g++", "", "build-essential python3-dev"),
    # Debian 13: g++ 14 rejects the bundled flatbuffers, and g++ 13's headers no longer include <string> and <cstdint>.
    "g++-13": Toolchain(
        "gcc-13",
        "g++-13",
        "-include string -include cstdint",
        "build-essential g++-13 python3-dev pybind11-dev libtorch-dev",
    ),
}


def main() -> int:
    """Build the wheel; print its path as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the wheel and the log")
    parser.add_argument(
        "--toolchain", choices=("auto", *TOOLCHAINS), default="auto", help="auto: g++-13 where g++ is newer than 13"
    )
    parser.add_argument("--gpu", action="store_true", help="with NCCL, for torch's CUDA build")
    arguments = parser.parse_args()
    try:
        wheel = build(arguments.out.resolve(), choose_toolchain(arguments.toolchain), arguments.gpu)
    except BuildError as error:
        print(f"build_horovod: {error}", file=sys.stderr)
        return 1
    print(wheel)
    return 0


def choose_toolchain(name: str) -> Toolchain:
    """Return the named toolchain; with auto the system's, unless its g++ is too new for Horovod."""
    if name != "auto":
        return TOOLCHAINS[name]
    gxx = shutil.which("g++")
    version = subprocess.run([gxx, "-dumpversion"], capture_output=True, text=True, check=True).stdout if gxx else "0"
    return TOOLCHAINS["g++-13" if int(version.split(".")[0]) > 13 else "system"]


def build(out: Path, toolchain: Toolchain, gpu: bool) -> Path:
    """Download, patch and build; return the wheel's path."""
    check_environment(toolchain)
    out.mkdir(parents=True, exist_ok=True)
    log = out / "build-horovod.log"
    log.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="horovod-") as work:
        source = download(Path(work), log)
        patch(source)
        wheels = Path(work, "wheels")
        environment = os.environ | OPTIONS | {"CC": toolchain.cc, "CXX": toolchain.cxx, "PIP_NO_INPUT": "1"}
        # Horovod's own choice is 8 compilers at once, of up to 2 GiB each
        environment.setdefault("MAKEFLAGS", f"-j{os.cpu_count() or 1}")
        if toolchain.flags:
            environment["CXXFLAGS"] = f"{os.environ.get('CXXFLAGS', '')} {toolchain.flags}".strip()
        if gpu:
            environment |= configure_gpu(Path(work, "cuda"), environment)
        started = time.monotonic()
        command = ["wheel", "-v", "--no-build-isolation", "--no-deps", "--wheel-dir", str(wheels), str(source)]
        run_pip(command, log, environment)
        print_progress(f"built in {time.monotonic() - started:.0f} s")
        built = next(wheels.glob("horovod-*.whl"))
        # Rename into place, so that no reader finds a partial wheel.
        shutil.copy(built, out / f".{built.name}.part")
        return (out / f".{built.name}.part").rename(out / built.name)


def check_environment(toolchain: Toolchain) -> None:
    """Raise BuildError naming everything that is missing, before the long build starts."""
    missing = [name for name in BUILD_REQUIREMENTS if not is_installed(name)]
    if missing:
        raise BuildError(f"{', '.join(missing)}: not installed in this Python; install requirements-build.txt into it")
    setuptools = importlib.metadata.version("setuptools")
    if int(setuptools.split(".")[0]) >= 80:
        raise BuildError(f"setuptools is {setuptools}; Horovod {VERSION} needs one below 80")
    header = Path(sysconfig.get_path("include"), "Python.h")
    tools = [tool for tool in (toolchain.cc, toolchain.cxx, "make") if not shutil.which(tool)]
    if not header.exists():
        tools.append(str(header))
    if tools:
        raise BuildError(f"missing {', '.join(tools)}: apt-get install {toolchain.debian_packages}")


def configure_gpu(folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """Return the variables of a build with NCCL; `folder` gets CUDA's and NCCL's files as compilers expect them.

    Raises BuildError if torch is no CUDA build, or CUDA's compiler or NCCL's header is missing.
    """
    site = Path(str(importlib.metadata.distribution("torch").locate_file("")))
    if not (site / "torch" / "lib" / "libtorch_cuda.so").exists():
        raise BuildError("torch: got a build without CUDA, expected torch's CUDA build")
    packages = site / "nvidia"
    toolkits = [Path(os.environ["CUDA_HOME"])] if "CUDA_HOME" in os.environ else sorted(packages.glob("cu[0-9]*"))
    toolkit = next((path for path in toolkits if (path / "bin" / "nvcc").exists()), None)
    if toolkit is None:
        raise BuildError(
            "bin/nvcc: not found in CUDA_HOME or torch's packages; install trainer-cuda's requirements-build.txt"
        )
    nccl = next((path for path in (packages / "nccl", toolkit) if (path / "include" / "nccl.h").exists()), None)
    if nccl is None:
        raise BuildError(f"nccl.h: not found below {packages} or in {toolkit}; install nvidia-nccl of torch's version")
    # copied: nvcc looks for libraries beside the folder that it lies in
    shutil.copytree(toolkit / "bin", folder / "bin")
    for name in ("include", "nvvm"):
        (folder / name).symlink_to(toolkit / name)
    link_libraries(folder / "lib64", toolkit / ("lib64" if (toolkit / "lib64").exists() else "lib"))
    link_libraries(folder / "nccl", nccl / "lib")
    return GPU_OPTIONS | {
        "CUDA_HOME": str(folder),
        "HOROVOD_CUDA_HOME": str(folder),
        "HOROVOD_NCCL_INCLUDE": str(nccl / "include"),
        "HOROVOD_NCCL_LIB": str(folder / "nccl"),
        "HOROVOD_BUILD_CUDA_CC_LIST": environment.get("HOROVOD_BUILD_CUDA_CC_LIST", GPU_ARCHITECTURES),
        "PATH": f"{folder / 'bin'}{os.pathsep}{environment.get('PATH', os.defpath)}",
    }


def link_libraries(folder: Path, libraries: Path) -> None:
    """Link libraries in `folder`, also by the names that linkers look for: packages have libnccl.so.2 alone."""
    folder.mkdir()
    for library in sorted(libraries.iterdir()):
        (folder / library.name).symlink_to(library)
    for library in sorted(libraries.glob("*.so.*")):
        name = folder / f"{library.name.partition('.so')[0]}.so"
        if not name.exists():
            name.symlink_to(library)


def is_installed(distribution: str) -> bool:
    """Return whether this Python has the distribution; cmake may also be on PATH (Debian's)."""
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return distribution == "cmake" and shutil.which("cmake") is not None
    return True


def download(work: Path, log: Path) -> Path:
    """Download the pinned source package through pip, so that the configured index is used; return its folder."""
    pinned = work / "horovod.txt"
    pinned.write_text(f"horovod=={VERSION} --hash=sha256:{SHA256}\n")
    print_progress(f"downloading Horovod {VERSION}")
    run_pip(
        ["download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--require-hashes",
         "--requirement", str(pinned), "--dest", str(work)],
        log,
        dict(os.environ),
    )  # fmt: skip
    unpack(work / f"horovod-{VERSION}.tar.gz", work)
    return work / f"horovod-{VERSION}"


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a source package; raise BuildError without writing anything if a member would leave `folder`.

    Python 3.11.4 introduced tarfile's own filter; Debian 12 has 3.11.2, so members are checked here.
    """
    root = folder.resolve()
    with tarfile.open(archive) as source:
        for member in source.getmembers():
            inside = Path(os.path.normpath(root / member.name)).is_relative_to(root)
            if not inside or not (member.isreg() or member.isdir()):
                raise BuildError(f"{archive.name}: {member.name}: expected a file or folder inside the package")
            member.mode &= 0o755  # no setuid bit, and writable by the owner only
        if hasattr(tarfile, "data_filter"):
            source.extractall(root, filter="data")
        else:
            source.extractall(root)


def patch(source: Path) -> None:
    """Raise the C++ standard from 14 to 20, which torch's headers need (17 since 2.1, 20 since 2.13); build faster."""
    for name in CMAKE_FILES:
        replace(source / name, r"CMAKE_CXX_STANDARD 14\b", "CMAKE_CXX_STANDARD 20")
    # CUDA 13 no longer has the standard of 2011
    replace(source / CUDA_FILE, r"CMAKE_CUDA_STANDARD 11\b", "CMAKE_CUDA_STANDARD 17")
    for name, (pattern, text) in FASTER.items():
        replace(source / name, pattern, text)


def replace(file: Path, pattern: str, text: str) -> None:
    """Replace a pattern that must occur exactly once in the file; raise BuildError otherwise."""
    content, changes = re.subn(pattern, text, file.read_text())
    if changes != 1:
        raise BuildError(f"{file.name}: found {pattern} {changes} times, expected it once")
    file.write_text(content)


def run_pip(arguments: list[str], log: Path, environment: dict[str, str]) -> None:
    """Run pip with its output in the log; show CMake's percentage; raise BuildError with the log's end."""
    # The environment's own commands come first: cmake from PyPI is next to this Python.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
    shown = -1
    with log.open("a") as file, subprocess.Popen(
        [sys.executable, "-m", "pip", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment,
    ) as pip:  # fmt: skip
        for line in pip.stdout or ():
            file.write(line)
            percent = re.search(r"\[ *(\d+)%\]", line)
            if percent and (tenth := int(percent[1]) // 10) > shown:
                shown = tenth
                print_progress(f"compiling Horovod: {percent[1]}%")
    if pip.returncode != 0:
        end = "\n".join(log.read_text().splitlines()[-30:])
        raise BuildError(f"pip {arguments[0]} exited with {pip.returncode}; the end of {log}:\n{end}")


def print_progress(text: str) -> None:
    """Print progress to standard error; standard output is for the wheel's path."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
