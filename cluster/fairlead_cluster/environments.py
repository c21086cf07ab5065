"""Sets up a machine: the Kubernetes binary and one Python environment per component."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.home import CHECKOUT, Home
from fairlead_cluster.base.steps import Step, StepLog, run_steps
from fairlead_cluster.base.toolchain import plan_kubernetes
from fairlead_cluster.base.uv import create_env, install_requirements, install_wheel, link_atomically, link_packages
from fairlead_cluster.components import Component, discover

KUBERNETES = "kubernetes"
_TRAINER = CHECKOUT / "components" / "trainer"
_TEST_REQUIREMENTS = CHECKOUT / "tests" / "requirements.txt"


def setup(
    names: Collection[str],
    home: Path,
    console: Console,
    *,
    tests: bool = False,
    components: Mapping[str, Component] | None = None,
) -> None:
    """Create the missing environments of the named components (default: all but those on demand).

    `kubernetes` is the Kubernetes binary; `tests` adds pytest to each environment. Raises SetupError.
    """
    known = discover() if components is None else components
    environments = {name: component for name, component in known.items() if component.own_environment}
    names = names or (KUBERNETES, *(component.name for component in choose_default(environments.values())))
    if unknown := sorted(set(names) - {KUBERNETES, *environments}):
        raise SetupError(f"components: got {unknown}, expected some of {sorted([KUBERNETES, *environments])}")
    chosen = [component for name, component in environments.items() if name in names]
    chosen.sort(key=lambda component: not component.horovod)  # the longest steps first
    where = Home(home)

    def plan() -> list[Step]:
        steps = plan_kubernetes(where) if KUBERNETES in names else []
        return steps + [step for component in chosen for step in _plan_environment(component, where, tests)]

    if plan():
        with _locked(where, console):
            run_steps(plan(), where.logs / "setup", console)


def choose_default(components: Iterable[Component]) -> list[Component]:
    """Return the components whose environments are made unless some are named."""
    return [component for component in components if not component.on_demand]


def environment_python(name: str, home: Path) -> Path:
    """Return the Python of a component's environment."""
    return Home(home).envs / name / "bin" / "python"


@contextlib.contextmanager
def _locked(home: Home, console: Console) -> Iterator[None]:
    """Hold the home's lock: two setups at once would build into each other's environments."""
    home.root.mkdir(parents=True, exist_ok=True)
    with (home.root / "setup.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print(f"another setup is running in {home.root}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _plan_environment(component: Component, home: Home, tests: bool) -> list[Step]:
    name, env = component.name, home.envs / component.name
    # those of libraries are the operator's environment's: here they may lack what they import
    foreign = [home.bin / script for script in _linked_commands(component) if script not in component.scripts]
    base = _Stamp(env / "fairlead.key", _key(component))
    extra = _Stamp(env / "fairlead-tests.key", _hash([_TEST_REQUIREMENTS], str(CHECKOUT))) if tests else None

    def install(log: StepLog) -> None:
        create_env(env, log)
        install_requirements(env, component.requirements, log)
        if component.horovod:
            install_wheel(env, _horovod_wheel(env, home, log), log)
        link_commands(log)
        base.write()

    def link_commands(_: StepLog) -> None:
        for script in link_packages(env, _linked_folders(component), _linked_commands(component)):
            if script.name in component.scripts:
                link_atomically(home.bin / script.name, script)
        for link in foreign:
            link.unlink(missing_ok=True)

    def add_tests(log: StepLog) -> None:
        install_requirements(env, [_TEST_REQUIREMENTS], log)
        if extra:
            extra.write()

    linked = all((home.bin / command).exists() for command in component.scripts)
    linked = linked and not any(link.is_symlink() for link in foreign)
    steps = [Step(name, install)] if not base.current else [] if linked else [Step(name, link_commands)]
    if extra and (steps or not extra.current):
        steps.append(Step(f"{name}-tests", add_tests, after=(name,) if steps else ()))
    return steps


def _linked_folders(component: Component) -> list[Path]:
    """Return the folders in which a component finds the packages of this checkout."""
    return [item.folder for item in (*component.imports, component) if item.packages]


def _linked_commands(component: Component) -> dict[str, str]:
    """Return its commands and those of the libraries that it imports; a program's stay in its own environment."""
    libraries = [item for item in component.imports if not item.has_image]
    return {name: target for item in (*libraries, component) for name, target in item.scripts.items()}


@dataclass(frozen=True)
class _Stamp:
    """The key of an environment's content; written last, so that an unfinished environment is recreated."""

    path: Path
    key: str

    @property
    def current(self) -> bool:
        return self.path.exists() and self.path.read_text() == self.key

    def write(self) -> None:
        self.path.write_text(self.key)


def _key(component: Component) -> str:
    """Hash the inputs of an environment, except the packages' code, which is linked."""
    files = list(component.requirements)
    if component.horovod:
        files += [_TRAINER / "build_horovod.py", _TRAINER / "requirements-build.txt"]
    links = [*map(str, _linked_folders(component)), *(f"{k}={v}" for k, v in _linked_commands(component).items())]
    return _hash(files, str(CHECKOUT), *links)


def _hash(files: list[Path], *texts: str) -> str:
    digest = hashlib.sha256("\0".join((sysconfig.get_python_version(), *texts)).encode())
    for path in files:
        if not path.exists():
            raise SetupError(f"{path}: no such file, expected the requirements of an environment")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def _horovod_wheel(env: Path, home: Home, log: StepLog) -> Path:
    """Return Horovod's wheel for this environment's torch, built once."""
    folder = home.wheels / wheel_key(_TRAINER)
    if wheel := next(folder.glob("horovod-*.whl"), None):
        return wheel
    _require_compiler(log)
    install_requirements(env, [_TRAINER / "requirements-build.txt"], log)
    folder.mkdir(parents=True, exist_ok=True)
    log.run([env / "bin" / "python", _TRAINER / "build_horovod.py", "--out", folder])
    if wheel := next(folder.glob("horovod-*.whl"), None):
        return wheel
    raise SetupError(f"build_horovod.py left no wheel in {folder}; {log.ending}")


def wheel_key(trainer: Path) -> str:
    """Hash the inputs of Horovod's wheel; where the checkout lies is none of them, so every checkout uses one wheel."""
    sources = ("requirements.txt", "requirements-build.txt", "build_horovod.py")
    return _hash([trainer / name for name in sources])[:16]


def _require_compiler(log: StepLog) -> None:
    """Make sure that a C++ compiler and Python's headers are installed; install Debian's packages where possible."""
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
