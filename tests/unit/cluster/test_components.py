"""Discovering components from the tables of their pyproject.toml files."""

import tomllib
from pathlib import Path

import pytest
from fairlead_cluster import __main__ as questions
from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.home import CHECKOUT
from fairlead_cluster.components import discover

LIBRARY = '[project]\nname = "fairlead-base"\ndependencies = ["numpy"]\n[tool.fairlead]\nenvironment = "operator"\n'
MIDDLE = '[project]\nname = "fairlead-middle"\ndependencies = ["fairlead.base>=1"]\n[tool.fairlead]\n'
PROGRAM = """\
[project]
name = "fairlead-program"
dependencies = ["fairlead-middle[all]", "pandas"]
[project.scripts]
run-it = "fairlead_program.main:main"
[tool.fairlead]
nodes = false
"""


def _write(checkout: Path, folder: str, text: str) -> Path:
    path = checkout / folder / "pyproject.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path.parent


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a library, one that imports it, and a program that imports that one."""
    _write(tmp_path, "components/base", LIBRARY)
    _write(tmp_path, "components/middle", MIDDLE)
    _write(tmp_path, "edge", PROGRAM)
    return tmp_path


def test_a_component_is_described_by_its_own_file(checkout: Path) -> None:
    (checkout / "edge" / "Dockerfile").touch()
    (checkout / "edge" / "fairlead_program").mkdir()
    (checkout / "edge" / "fairlead_program" / "__init__.py").touch()
    program = discover(checkout)["edge"]
    assert (program.distribution, dict(program.scripts)) == (
        "fairlead-program",
        {"run-it": "fairlead_program.main:main"},
    )
    assert program.own_environment
    assert program.has_image
    assert not program.nodes
    assert program.packages == [checkout / "edge" / "fairlead_program"]
    assert program.requirements == [checkout / "edge" / "requirements.txt"]


def test_imports_follow_the_dependencies_of_the_repository_indirect_ones_included(checkout: Path) -> None:
    components = discover(checkout)
    assert [item.name for item in components["edge"].imports] == ["middle", "base"]
    assert not components["base"].imports


def test_an_environment_without_a_project_names_its_imports(checkout: Path) -> None:
    _write(checkout, "examples/digits", '[tool.fairlead]\nimports = ["fairlead-middle"]\n')
    digits = discover(checkout)["digits"]
    assert [item.name for item in digits.imports] == ["middle", "base"]
    assert (digits.distribution, digits.has_image) == (None, False)


def test_a_table_may_name_another_folder(checkout: Path) -> None:
    _write(checkout, ".", '[project]\nname = "fairlead"\n[tool.fairlead]\nfolder = "operator"\n')
    operator = discover(checkout)["operator"]
    assert (operator.folder, operator.project) == (checkout / "operator", checkout)


def test_files_without_a_table_and_in_hidden_folders_are_no_components(checkout: Path) -> None:
    _write(checkout, "tests/other", '[project]\nname = "other"\n')
    _write(checkout, ".venv/edge", PROGRAM)
    assert set(discover(checkout)) == {"base", "middle", "edge"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[tool.fairlead]\nspeed = 3", "tool.fairlead.speed: got 3, expected only the keys environment, folder,"),
        ("[tool.fairlead]\nhorovod = 'yes'", "tool.fairlead.horovod: got 'yes', expected true or false"),
        ("[tool.fairlead]\nnodes = 1", "tool.fairlead.nodes: got 1, expected true or false"),
        (
            "[tool.fairlead]\nenvironment = 'mine'",
            "tool.fairlead.environment: got 'mine', expected 'own' or 'operator'",
        ),
        ("[tool.fairlead]\nenvironment = []", r"tool.fairlead.environment: got [], expected 'own' or 'operator'"),
        ("[tool.fairlead]\nfolder = ['x']", "tool.fairlead.folder: got ['x'], expected the name of a folder"),
        ("[tool.fairlead]\nimports = 'a'", "tool.fairlead.imports: got 'a', expected a list of distributions' names"),
        ("[tool.fairlead]\nimports = [1]", "tool.fairlead.imports: got [1], expected a list of distributions' names"),
        (
            "[tool.fairlead]\nimports = ['ghost']",
            "tool.fairlead.imports: got 'ghost', expected some of ['fairlead-base'",
        ),
        (
            "[project]\nname = 'x'\n[tool.fairlead]\nimports = []",
            "tool.fairlead.imports: got [], expected them in project.",
        ),
        ("[tool]\nfairlead = true", "tool.fairlead: got True, expected a table"),
        ("[tool.fairlead", "Expected ']' at the end of a table declaration"),
    ],
)
def test_an_invalid_table_names_file_key_value_and_what_was_expected(checkout: Path, table: str, message: str) -> None:
    _write(checkout, "components/bad", table)
    with pytest.raises(SetupError) as error:
        discover(checkout)
    assert str(error.value).startswith(f"components/bad/pyproject.toml: {message}")


def test_two_components_of_one_name_are_rejected(checkout: Path) -> None:
    _write(checkout, "other/edge", PROGRAM.replace("fairlead-program", "fairlead-other"))
    with pytest.raises(
        SetupError, match=r"other/edge/pyproject\.toml: .*'edge' is already defined by edge/pyproject\.toml"
    ):
        discover(checkout)


def test_every_component_of_this_repository_has_what_its_table_implies() -> None:
    for component in discover().values():
        if component.own_environment:
            assert all(path.exists() for path in component.requirements), component.name
        if component.distribution:
            assert component.packages, component.name


def test_every_package_has_its_place_among_the_layers_that_are_checked() -> None:
    linter = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["importlinter"]
    packages = {path.name for component in discover().values() for path in component.packages}
    assert set(linter["root_packages"]) == packages
    layers = next(contract["layers"] for contract in linter["contracts"] if contract["name"].startswith("contracts"))
    assert {name for layer in layers for name in layer.split(" | ")} == packages


def test_the_tests_of_every_component_run_in_some_environment() -> None:
    components = discover().values()
    run = {*questions.list_tested(components), *(Path(folder).name for folder in questions.list_pure(components))}
    on_demand = {item.name for item in components if item.on_demand}
    assert not on_demand & run
    makefile = (CHECKOUT / "Makefile").read_text()
    assert all(f"-m pytest tests/components/{name} " in makefile for name in on_demand)
    assert run | on_demand == {
        folder.name for folder in (CHECKOUT / "tests" / "components").iterdir() if folder.is_dir()
    }


def test_the_page_shows_the_components_as_they_are() -> None:
    page = (CHECKOUT / "docs" / "architecture.md").read_text()
    assert "\n".join(questions.build_table(discover().values())) in page, "run make generate"
