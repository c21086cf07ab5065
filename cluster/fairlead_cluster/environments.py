"""What a machine needs to run everything here: the Kubernetes binary and one Python environment a component."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from fairlead_cluster.base.home import CHECKOUT, Home
from fairlead_cluster.base.steps import SetupError, Step, StepLog, run_steps
from fairlead_cluster.base.toolchain import plan_kubernetes
from fairlead_cluster.base.uv import create_env, install_requirements, install_wheel, link_packages

KUBERNETES = "kubernetes"
_ARTIFACTS = "components/artifacts"
_TRAINER = "components/trainer"


@dataclass(frozen=True)
class Environment:
    """A component's environment: its pinned requirements and the packages of this checkout that it imports."""

    requirements: str
    packages: tuple[str, ...] = (_ARTIFACTS,)
    libraries: tuple[str, ...] = ()
    """Packages of this checkout that it imports and whose commands it does not offer."""
    horovod: bool = False


ENVIRONMENTS = {
    "trainer": Environment(f"{_TRAINER}/requirements.txt", (_ARTIFACTS, _TRAINER), horovod=True),
    "data-validation": Environment(
        "components/data-validation/requirements.txt", (_ARTIFACTS, "components/data-validation")
    ),
    "onnx-converter": Environment(
        "components/onnx-converter/requirements.txt", (_ARTIFACTS, "components/onnx-converter")
    ),
    "graph-server": Environment("components/graph-server/requirements.txt", (_ARTIFACTS, "components/graph-server")),
    "edge-runtime": Environment("edge-runtime/requirements.txt", (_ARTIFACTS, "edge-runtime")),
    "pipelines": Environment("pipelines/requirements.txt", (_ARTIFACTS, "pipelines"), libraries=(".",)),
    "example": Environment("examples/digits/requirements.txt"),
    "seldon": Environment("tests/seldon/requirements.txt"),
}
COMPONENTS = (KUBERNETES, *ENVIRONMENTS)


def setup(components: Collection[str], home: Path, console: Console, *, tests: bool = False) -> None:
    """Make what `components` (names of COMPONENTS) need and lack; instant when nothing does.

    `tests` adds pytest to each environment. Raises SetupError.
    """
    if unknown := sorted(set(components) - set(COMPONENTS)):
        raise SetupError(f"components: got {unknown}, expected some of {sorted(COMPONENTS)}")
    where = Home(home)
    if _plan(components, where, tests):
        with _alone(where, console):
            run_steps(_plan(components, where, tests), where.logs / "setup", console)


def environment_python(name: str, home: Path) -> Path:
    """Return the Python of a component's environment."""
    return Home(home).envs / name / "bin" / "python"


def _plan(components: Collection[str], home: Home, tests: bool) -> list[Step]:
    steps: list[Step] = plan_kubernetes(home) if KUBERNETES in components else []
    for name, environment in ENVIRONMENTS.items():
        if name in components:
            steps += _plan_environment(name, environment, home, tests)
    return steps


@contextlib.contextmanager
def _alone(home: Home, console: Console) -> Iterator[None]:
    """Hold the home's lock: two set-ups at once would build into each other's environments."""
    home.root.mkdir(parents=True, exist_ok=True)
    with (home.root / "setup.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print(f"another set-up works in {home.root}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _plan_environment(name: str, environment: Environment, home: Home, tests: bool) -> list[Step]:
    env = home.envs / name
    base = _Stamp(env / "fairlead.key", _key(environment))
    extra = _Stamp(env / "fairlead-tests.key", _hash([_TEST_REQUIREMENTS])) if tests else None

    def install(log: StepLog) -> None:
        create_env(env, log)
        install_requirements(env, [CHECKOUT / environment.requirements], log)
        if environment.horovod:
            install_wheel(env, _horovod_wheel(env, home, log), log)
        packages, libraries = (
            [CHECKOUT / folder for folder in folders] for folders in (environment.packages, environment.libraries)
        )
        _link_commands(link_packages(env, packages, libraries), home.bin)
        base.write()

    def add_tests(log: StepLog) -> None:
        install_requirements(env, [_TEST_REQUIREMENTS], log)
        if extra:
            extra.write()

    steps = [] if base.current else [Step(name, install)]
    if extra and (steps or not extra.current):
        steps.append(Step(f"{name}-tests", add_tests, after=(name,) if steps else ()))
    return steps


_TEST_REQUIREMENTS = CHECKOUT / "tests" / "requirements.txt"


@dataclass(frozen=True)
class _Stamp:
    """Says what an environment was made from; written last, so that one half made is made again."""

    path: Path
    key: str

    @property
    def current(self) -> bool:
        return self.path.exists() and self.path.read_text() == self.key

    def write(self) -> None:
        self.path.write_text(self.key)


def _key(environment: Environment) -> str:
    """Hash all that an environment is made from; the packages themselves are linked, only their commands count."""
    files = [CHECKOUT / environment.requirements]
    files += [CHECKOUT / folder / "pyproject.toml" for folder in (*environment.packages, *environment.libraries)]
    if environment.horovod:
        files += [CHECKOUT / _TRAINER / "build_horovod.py", CHECKOUT / _TRAINER / "requirements-build.txt"]
    return _hash(files)


def _hash(files: list[Path]) -> str:
    digest = hashlib.sha256(f"{CHECKOUT}\0{sysconfig.get_python_version()}".encode())
    for path in files:
        if not path.exists():
            raise SetupError(f"{path}: no such file, expected the requirements of an environment")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def _link_commands(scripts: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for script in scripts:
        link = folder / script.name
        fresh = folder / f".{script.name}.{os.getpid()}.{script.parent.parent.name}"
        fresh.symlink_to(script)
        fresh.replace(link)  # in one move: environments that share a package link its commands at the same time


def _horovod_wheel(env: Path, home: Home, log: StepLog) -> Path:
    """Return Horovod's wheel for this environment's torch, built once."""
    sources = ("requirements.txt", "requirements-build.txt", "build_horovod.py")
    folder = home.wheels / _hash([CHECKOUT / _TRAINER / name for name in sources])[:16]
    if wheel := next(folder.glob("horovod-*.whl"), None):
        return wheel
    _require_compiler(log)
    install_requirements(env, [CHECKOUT / _TRAINER / "requirements-build.txt"], log)
    folder.mkdir(parents=True, exist_ok=True)
    log.run([env / "bin" / "python", CHECKOUT / _TRAINER / "build_horovod.py", "--out", folder])
    if wheel := next(folder.glob("horovod-*.whl"), None):
        return wheel
    raise SetupError(f"build_horovod.py left no wheel in {folder}; see {log.path}")


def _require_compiler(log: StepLog) -> None:
    """Make sure that C++ and Python's headers are here, installing Debian's packages where that is possible."""
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    packages = [] if shutil.which("g++") else ["g++"]
    if not headers.exists():
        packages.append(f"libpython{sysconfig.get_python_version()}-dev")
    if not packages:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        needed, remedy = " and ".join(packages), " ".join(command)
        raise SetupError(f"Horovod is built from source and needs {needed}; run: sudo {remedy}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    if subprocess.run(["apt-cache", "show", packages[0]], capture_output=True).returncode != 0:
        log.run(["apt-get", "update"], env=quiet)
    log.run(command, env=quiet)
