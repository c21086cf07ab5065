"""Answers questions of Makefile and bootstrap.sh: `python -m fairlead_cluster QUESTION`; standard library only."""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.home import CHECKOUT, default_home
from fairlead_cluster.components import Component, discover

_PAGE = CHECKOUT / "docs" / "architecture.md"
_TESTS = CHECKOUT / "tests" / "components"
_START, _END = "<!-- components: written by `make generate` -->", "<!-- end of components -->"


def main() -> int:
    """Answer one question; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m fairlead_cluster", description=__doc__)
    questions = parser.add_subparsers(dest="question", required=True)
    for name, answer in _QUESTIONS.items():
        questions.add_parser(name, help=answer.__doc__)
    try:
        lines = list(_QUESTIONS[parser.parse_args().question](discover().values()))
    except SetupError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def list_installed(components: Iterable[Component]) -> list[str]:
    """List the projects that are installed into the operator's environment."""
    installed = (item for item in components if item.distribution and not item.own_environment)
    return [_relative(item.project) for item in installed]


def list_tested(components: Iterable[Component]) -> list[str]:
    """List the components whose tests run in their own environments."""
    own = (item for item in components if item.own_environment and not item.on_demand)
    return [item.name for item in own if (_TESTS / item.name).is_dir()]


def list_pure(components: Iterable[Component]) -> list[str]:
    """List the folders of the components whose tests run in the operator's environment, without a cluster."""
    folders = (_TESTS / item.name for item in components if not item.own_environment)
    return [_relative(folder) for folder in folders if folder.is_dir()]


def list_typed(components: Iterable[Component]) -> list[str]:
    """List what mypy checks, a line for each environment: its Python, the search path, the packages, with tabs.

    Components on demand are checked by the target of make that makes their environments.
    """
    groups: dict[Path, list[Component]] = {}
    for item in components:
        if not item.on_demand:
            groups.setdefault(_python(item), []).append(item)
    return [
        "\t".join(
            [str(python), _search_path(group), " ".join(_relative(path) for item in group for path in item.packages)]
        )
        for python, group in groups.items()
        if any(item.packages for item in group)
    ]


def list_requirements(components: Iterable[Component]) -> list[str]:
    """List the requirements that `make lock` compiles."""
    return [_relative(path) for item in components for path in sorted(item.folder.glob("requirements*.in"))]


def document(components: Iterable[Component]) -> list[str]:
    """Write the table of components into docs/architecture.md."""
    text = _PAGE.read_text()
    head, start, rest = text.partition(f"{_START}\n")
    _, end, tail = rest.partition(_END)
    if not start or not end:
        raise SetupError(f"{_PAGE}: expected the lines {_START!r} and {_END!r}")
    _PAGE.write_text(head + start + "\n".join(build_table(components)) + f"\n{end}{tail}")
    return []


def build_table(components: Iterable[Component]) -> list[str]:
    """Return the table of the distributions: folder, image, package and commands, in Markdown."""
    rows = [
        (
            f"`{_relative(item.folder)}`",
            f"`fairlead/{item.name}`" if item.has_image else "none",
            ", ".join(f"`{package.name}`" for package in item.packages),
            ", ".join(f"`{name}`" for name in item.scripts) or "none",
        )
        for item in components
        if item.distribution
    ]
    return [f"| {' | '.join(row)} |" for row in (("folder", "image", "package", "commands"), ("---",) * 4, *rows)]


def _python(component: Component) -> Path:
    env = default_home() / "envs" / component.name if component.own_environment else CHECKOUT / ".venv"
    return env / "bin" / "python"


def _search_path(components: Iterable[Component]) -> str:
    folders = (_relative(item.folder) for component in components for item in (component, *component.imports))
    return ":".join(dict.fromkeys(folders))


def _relative(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


_QUESTIONS: dict[str, Callable[[Iterable[Component]], list[str]]] = {
    "installed": list_installed,
    "tested": list_tested,
    "pure": list_pure,
    "typed": list_typed,
    "requirements": list_requirements,
    "document": document,
}


if __name__ == "__main__":
    sys.exit(main())
