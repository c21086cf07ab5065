"""Python environments, created with uv from hash-pinned requirements."""

import os
import shlex
import shutil
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.steps import StepLog

_SCRIPT = """#!/bin/sh
'''exec' {python} "$0" "$@" #'''
import sys

from {module} import {function}

sys.exit({function}())
"""
"""For the shell and for Python: the kernel accepts no spaces and only 255 bytes in the line of an interpreter."""


def create_env(env: Path, log: StepLog) -> None:
    """Create an empty environment with the running Python, replacing an existing one."""
    python = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    log.run([_uv(), "venv", "--clear", "--no-python-downloads", "--python", python, env])


def install_requirements(env: Path, requirements: Sequence[Path], log: StepLog) -> None:
    """Install the pinned requirements, each file verified by its hash."""
    files = [word for path in requirements for word in ("-r", str(path))]
    log.run([_uv(), "pip", "install", "--python", env / "bin" / "python", "--require-hashes", *files])


def install_wheel(env: Path, wheel: Path, log: StepLog) -> None:
    """Install a locally built wheel without its dependencies: the requirements pin them."""
    log.run([_uv(), "pip", "install", "--python", env / "bin" / "python", "--no-deps", wheel])


def link_packages(env: Path, folders: Collection[Path], commands: Mapping[str, str]) -> list[Path]:
    """Make the packages in `folders` importable in an environment; return one script for each of `commands`.

    A path file and one script a command: nothing to build, nothing to download, and safe for several
    environments at once, which editable installs of one folder are not (they share its egg-info).
    """
    site = next((env / "lib").glob("python*/site-packages"))
    (site / "fairlead-checkout.pth").write_text("".join(f"{folder}\n" for folder in folders))
    scripts = []
    for name, target in commands.items():
        module, _, function = target.partition(":")
        script = env / "bin" / name
        python = shlex.quote(str(env / "bin" / "python"))
        script.write_text(_SCRIPT.format(python=python, module=module, function=function))
        script.chmod(0o755)
        scripts.append(script)
    return scripts


def link_atomically(link: Path, target: Path) -> None:
    """Make a symbolic link, replacing an existing one: several environments may link a command at the same time."""
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f".{link.name}.{os.getpid()}.{threading.get_ident()}")
    fresh.symlink_to(target)
    fresh.replace(link)


def _uv() -> Path:
    beside = Path(sys.executable).parent / "uv"
    if beside.exists():
        return beside
    if found := shutil.which("uv"):
        return Path(found)
    raise SetupError(f"uv: found neither {beside} nor uv on PATH; install this project's requirements-dev.txt")
