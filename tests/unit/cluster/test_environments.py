"""Setting up environments."""

import io
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from fairlead_cluster.base import toolchain
from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.home import CHECKOUT
from fairlead_cluster.base.uv import link_packages
from fairlead_cluster.components import Component
from fairlead_cluster.environments import choose_default, setup, wheel_key
from rich.console import Console


def _console() -> Console:
    return Console(file=io.StringIO())


def test_an_unknown_component_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"components: got \['nonsense'\], expected some of"):
        setup(["nonsense"], tmp_path, _console())


def test_missing_requirements_are_named(tmp_path: Path) -> None:
    ghost = _environment(tmp_path / "no" / "such")
    with pytest.raises(SetupError, match=r"no/such/requirements\.txt: no such file"):
        setup(["such"], tmp_path, _console(), components=ghost)


def test_packages_of_the_checkout_are_linked_with_their_commands(tmp_path: Path) -> None:
    env, package = tmp_path / "an env with spaces, and isn't short" / ("x" * 250), tmp_path / "package"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", env], check=True)
    (package / "linked").mkdir(parents=True)
    (package / "linked" / "__init__.py").write_text("def main():\n    print('hello')\n    return 4\n")
    (script,) = link_packages(env, [package], {"hello": "linked:main"})
    result = subprocess.run([script], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (4, "hello\n")


def test_an_environment_is_created_once_from_pinned_requirements(tmp_path: Path) -> None:
    components = _environment(tmp_path / "tiny")
    (requirements,) = components["tiny"].requirements
    requirements.parent.mkdir()
    requirements.write_text("")
    setup(["tiny"], tmp_path, _console(), components=components)
    marker = tmp_path / "envs" / "tiny" / "marker"
    marker.touch()
    setup(["tiny"], tmp_path, _console(), components=components)
    assert marker.exists(), "nothing had changed"
    requirements.write_text("# another version\n")
    setup(["tiny"], tmp_path, _console(), components=components)
    assert not marker.exists(), "the requirements had changed"


def test_links_of_commands_that_are_missing_are_made(tmp_path: Path) -> None:
    components = _environment(tmp_path / "tiny", {"hello": "linked:main"})
    (requirements,) = components["tiny"].requirements
    requirements.parent.mkdir()
    requirements.write_text("")
    setup(["tiny"], tmp_path, _console(), components=components)
    (tmp_path / "envs" / "tiny" / "marker").touch()
    link = tmp_path / "bin" / "hello"
    link.unlink()
    setup(["tiny"], tmp_path, _console(), components=components)
    assert link.resolve() == tmp_path / "envs" / "tiny" / "bin" / "hello"
    assert (tmp_path / "envs" / "tiny" / "marker").exists(), "the environment itself was there"


def test_commands_of_libraries_stay_in_the_environments_that_import_them(tmp_path: Path) -> None:
    library = _environment(tmp_path / "library", {"hello": "library:main"})["library"]
    components = _environment(tmp_path / "tiny", {"tiny": "tiny:main"})
    components["tiny"] = replace(components["tiny"], imports=(library,))
    (requirements,) = components["tiny"].requirements
    requirements.parent.mkdir()
    requirements.write_text("")
    foreign = tmp_path / "bin" / "hello"
    foreign.parent.mkdir()
    foreign.symlink_to(tmp_path / "of an earlier version")
    setup(["tiny"], tmp_path, _console(), components=components)
    assert (tmp_path / "envs" / "tiny" / "bin" / "hello").exists()
    assert [path.name for path in foreign.parent.iterdir()] == ["tiny"]


@pytest.mark.parametrize("found", ["nothing", "a copy", "a link that leads nowhere"])
def test_the_link_of_kubectl_is_made_where_the_binary_is_already_there(
    tmp_path: Path, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Path] = []

    def build(target: Path, *_: object) -> None:
        built.append(target)
        target.parent.mkdir(parents=True)
        target.write_text("binary")

    monkeypatch.setattr(toolchain, "build_kubernetes", build)
    kubectl = tmp_path / "bin" / "kubectl"
    setup(["kubernetes"], tmp_path, _console())
    kubectl.unlink()
    if found == "a copy":
        kubectl.write_text("older")
    if found == "a link that leads nowhere":
        kubectl.symlink_to(tmp_path / "elsewhere")
    setup(["kubernetes"], tmp_path, _console())
    assert kubectl.read_text() == "binary"
    assert built == [tmp_path / "bin" / "kube"]


def test_a_second_checkout_uses_the_wheel_of_the_first(tmp_path: Path) -> None:
    trainer = CHECKOUT / "components" / "trainer"
    copy = shutil.copytree(trainer, tmp_path / "trainer")
    assert wheel_key(copy) == wheel_key(trainer)
    (copy / "requirements.txt").write_text("torch==2.0\n")
    assert wheel_key(copy) != wheel_key(trainer), "another torch needs another wheel"


def test_an_environment_on_demand_is_made_only_if_it_is_named(tmp_path: Path) -> None:
    components = _environment(tmp_path / "heavy")  # it has no requirements, which whoever makes it misses
    components = {name: replace(component, on_demand=True) for name, component in components.items()}
    (tmp_path / "home").mkdir()
    with pytest.raises(SetupError, match=r"heavy/requirements\.txt: no such file"):
        setup(["heavy"], tmp_path / "home", _console(), components=components)
    plain = _environment(tmp_path / "heavy")
    assert [item.name for item in choose_default(plain.values())] == ["heavy"]
    assert choose_default(components.values()) == []


def _environment(folder: Path, scripts: Mapping[str, str] | None = None) -> dict[str, Component]:
    """Return a component that is only an environment."""
    component = Component(
        name=folder.name, folder=folder, project=folder, distribution=None, scripts=scripts or {}, environment="own",
        horovod=False, nodes=True, optional=False,
    )  # fmt: skip
    return {folder.name: component}
