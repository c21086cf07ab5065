"""Python environments, made with uv: fast, from hash-pinned requirements only."""

import shutil
import sys
import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from fairlead_cluster.base.steps import SetupError, StepLog

_SCRIPT = """#!{python}
import sys

from {module} import {function}

sys.exit({function}())
"""


def create_env(env: Path, log: StepLog) -> None:
    """Make an empty environment with the Python that runs this, replacing what is there."""
    python = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    log.run([_uv(), "venv", "--clear", "--no-python-downloads", "--python", python, env])


def install_requirements(env: Path, requirements: Sequence[Path], log: StepLog) -> None:
    """Install what the files pin, every file checked against its hash."""
    files = [word for path in requirements for word in ("-r", str(path))]
    log.run([_uv(), "pip", "install", "--python", env / "bin" / "python", "--require-hashes", *files])


def install_wheel(env: Path, wheel: Path, log: StepLog) -> None:
    """Install a wheel that was built here, without its dependencies: they are pinned already."""
    log.run([_uv(), "pip", "install", "--python", env / "bin" / "python", "--no-deps", wheel])


def link_packages(env: Path, folders: Collection[Path], libraries: Collection[Path] = ()) -> list[Path]:
    """Make packages of the checkout importable in an environment and return the commands of those in `folders`.

    A path file and one script a command: nothing to build, nothing to download, and safe for several
    environments at once, which editable installs of one folder are not (they share its egg-info).
    """
    python = env / "bin" / "python"
    site = next((env / "lib").glob("python*/site-packages"))
    projects = {folder: tomllib.loads((folder / "pyproject.toml").read_text()) for folder in (*folders, *libraries)}
    paths = [folder / where for folder, project in projects.items() for where in _package_folders(project)]
    (site / "fairlead-checkout.pth").write_text("".join(f"{path}\n" for path in paths))
    scripts = []
    for folder in folders:
        for name, target in projects[folder]["project"].get("scripts", {}).items():
            module, _, function = target.partition(":")
            script = env / "bin" / name
            script.write_text(_SCRIPT.format(python=python, module=module, function=function))
            script.chmod(0o755)
            scripts.append(script)
    return scripts


def _package_folders(project: dict[str, Any]) -> list[str]:
    """Return where a project keeps its packages, below its folder."""
    packages = project.get("tool", {}).get("setuptools", {}).get("packages", {})
    found: list[str] = packages.get("find", {}).get("where", ["."]) if isinstance(packages, dict) else ["."]
    return found


def _uv() -> Path:
    beside = Path(sys.executable).parent / "uv"
    if beside.exists():
        return beside
    if found := shutil.which("uv"):
        return Path(found)
    raise SetupError(f"uv is neither at {beside} nor on PATH; install this project's requirements-dev.txt")
