"""Content keys, which decide whether an image is rebuilt."""

from pathlib import Path

import pytest
from fairlead_cluster.kind.docker import content_key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "code.py").write_text("x = 1\n")
    return tmp_path


def test_equal_content_has_an_equal_key(folder: Path) -> None:
    before = content_key("base", folder)
    (folder / "package" / "code.py").write_text("x = 1\n")
    assert content_key("base", folder) == before


@pytest.mark.parametrize("change", ["content", "name", "mode", "base"])
def test_a_change_changes_the_key(folder: Path, change: str) -> None:
    before, code = content_key("base", folder), folder / "package" / "code.py"
    match change:
        case "content":
            code.write_text("x = 2\n")
        case "name":
            code.rename(code.with_name("other.py"))
        case "mode":
            code.chmod(0o755)
    assert content_key("newer base" if change == "base" else "base", folder) != before


@pytest.mark.parametrize("path", ["package/__pycache__/code.pyc", "a.egg-info/PKG-INFO", "package/Dockerfile"])
def test_files_outside_an_image_do_not_change_its_key(folder: Path, path: str) -> None:
    before = content_key(folder)
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_text("new")
    assert content_key(folder) == before
