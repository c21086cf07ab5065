"""The components of this repository: every pyproject.toml that has a `[tool.fairlead]` table, and what it implies.

A table holds only what cannot be derived:

    environment   "own" (default): requirements.txt makes an environment of its own, in which its tests and type checks
                  run; "operator": it is installed into the operator's environment, .venv
    extras        names of optional dependencies that its environment has and its image does not: those of `name` are
                  pinned in requirements-name.txt
    folder        where requirements, Dockerfile and packages are, relative to pyproject.toml; default: its folder
    horovod       its environment holds Horovod's wheel, built here
    imports       the distributions of this repository that a component without a `[project]` table imports
    nodes         its image is loaded into the nodes of the kind cluster; default: true
    optional      its image is built only if it is asked for by name; default: false
    on_demand     its environment is made, and its tests run, only if it is asked for by name; default: false

Its name is its folder's; its image is `fairlead/<name>` where it has a Dockerfile; commands and imported distributions
are those of its `[project]` table. Only the standard library is used: Makefile and bootstrap.sh ask before any
environment exists.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.home import CHECKOUT

_PLACES = ("pyproject.toml", "*/pyproject.toml", "*/*/pyproject.toml")


@dataclass(frozen=True)
class Component:
    """One component; `imports` are the components of this repository that it imports, indirect ones included."""

    name: str
    folder: Path
    project: Path
    """The folder of pyproject.toml: what pip installs."""
    distribution: str | None
    scripts: Mapping[str, str]
    """Its commands: `module:function` by name."""
    environment: str
    horovod: bool
    nodes: bool
    optional: bool
    extras: tuple[str, ...] = ()
    on_demand: bool = False
    imports: "tuple[Component, ...]" = ()

    @property
    def own_environment(self) -> bool:
        """Return True if it has an environment of its own."""
        return self.environment == "own"

    @property
    def requirements(self) -> list[Path]:
        """The pinned requirements of its environment."""
        return [self.folder / f"{name}.txt" for name in ("requirements", *(f"requirements-{e}" for e in self.extras))]

    @property
    def dockerfile(self) -> Path:
        """Where the Dockerfile of its image is, if it has an image."""
        return self.folder / "Dockerfile"

    @property
    def has_image(self) -> bool:
        """Return True if it has an image."""
        return self.dockerfile.exists()

    @property
    def packages(self) -> list[Path]:
        """The folders of its Python packages."""
        return sorted(path.parent for path in self.folder.glob("fairlead*/__init__.py"))


@cache
def discover(checkout: Path = CHECKOUT) -> Mapping[str, Component]:
    """Return the components by name, sorted by folder; raises SetupError for a table that is invalid."""
    found: dict[str, _Declared] = {}
    for path in sorted(path for place in _PLACES for path in checkout.glob(place)):
        where = path.relative_to(checkout)
        if any(part.startswith(".") for part in where.parts):
            continue
        declared = _read(path, where)
        if declared and declared.component.name in found:
            other = found[declared.component.name].where
            raise SetupError(f"{where}: the component {declared.component.name!r} is already defined by {other}")
        if declared:
            found[declared.component.name] = declared
    by_distribution = {item.component.distribution: item for item in found.values() if item.component.distribution}
    complete = {name: _with_imports(item, by_distribution) for name, item in found.items()}
    return dict(sorted(complete.items(), key=lambda item: item[1].folder))


@dataclass(frozen=True)
class _Declared:
    """A component as its file declares it, its imports still names of distributions."""

    component: Component
    where: Path
    imports: tuple[str, ...]
    named: bool
    """Whether the table names the imports: then each must be of this repository."""


def _read(path: Path, where: Path) -> _Declared | None:
    """Read one pyproject.toml; None when it has no table of ours."""
    try:
        document = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{where}: {error}") from None
    table = document.get("tool", {}).get("fairlead")
    if table is None:
        return None
    project: dict[str, Any] = document.get("project", {})
    _check_table(table, where, project)
    folder = path.parent / table.get("folder", ".")
    component = Component(
        name=folder.resolve().name,
        folder=folder.resolve(),
        project=path.parent,
        distribution=_distribution(project["name"]) if "name" in project else None,
        scripts=project.get("scripts", {}),
        environment=table.get("environment", "own"),
        horovod=table.get("horovod", False),
        nodes=table.get("nodes", True),
        optional=table.get("optional", False),
        extras=tuple(table.get("extras", ())),
        on_demand=table.get("on_demand", False),
    )
    imports = table.get("imports", project.get("dependencies", []))
    return _Declared(component, where, tuple(map(_distribution, imports)), "imports" in table)


def _check_table(table: object, where: Path, project: Mapping[str, Any]) -> None:
    """Raise SetupError naming the key, its value and what was expected."""
    if not isinstance(table, dict):
        raise SetupError(f"{where}: tool.fairlead: got {table!r}, expected a table")
    for key, value in table.items():
        if key not in _KEYS:
            raise SetupError(f"{where}: tool.fairlead.{key}: got {value!r}, expected only the keys {', '.join(_KEYS)}")
        valid, expected = _KEYS[key]
        if not valid(value):
            raise SetupError(f"{where}: tool.fairlead.{key}: got {value!r}, expected {expected}")
    if "imports" in table and project:
        raise SetupError(
            f"{where}: tool.fairlead.imports: got {table['imports']!r}, expected them in project.dependencies"
        )


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool)


def _is_list_of_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_KEYS: dict[str, tuple[Callable[[object], bool], str]] = {
    "environment": (lambda value: value in ("own", "operator"), "'own' or 'operator'"),
    "folder": (lambda value: isinstance(value, str) and bool(value), "the name of a folder"),
    "horovod": (_is_boolean, "true or false"),
    "extras": (_is_list_of_names, "a list of names of optional dependencies"),
    "imports": (_is_list_of_names, "a list of distributions' names"),
    "nodes": (_is_boolean, "true or false"),
    "optional": (_is_boolean, "true or false"),
    "on_demand": (_is_boolean, "true or false"),
}


def _with_imports(declared: _Declared, by_distribution: Mapping[str, _Declared]) -> Component:
    names: dict[str, None] = {}
    _collect(declared, by_distribution, names)
    names.pop(declared.component.distribution or "", None)
    imports = tuple(by_distribution[name].component for name in names)
    return replace(declared.component, imports=imports)


def _collect(declared: _Declared, by_distribution: Mapping[str, _Declared], names: dict[str, None]) -> None:
    """Add the distributions of this repository that a component imports, indirectly too."""
    for name in declared.imports:
        if name in by_distribution and name not in names:
            names[name] = None
            _collect(by_distribution[name], by_distribution, names)
        elif declared.named and name not in by_distribution:
            raise SetupError(
                f"{declared.where}: tool.fairlead.imports: got {name!r}, expected some of {sorted(by_distribution)}"
            )


def _distribution(requirement: str) -> str:
    """Return the normalized name in a requirement such as `Fairlead_Artifacts[s3]>=1`."""
    name = re.match(r"[\w.-]*", requirement)
    return re.sub(r"[-_.]+", "-", name[0] if name else "").lower()
