"""Which files of a code folder are brought to a job."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from fairlead.cli.console import CommandError
from fairlead_projects.code import files as finding
from fairlead_projects.code.files import extract_revision, find_files

from .conftest import Write


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main")
    return subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_hidden_files_caches_and_what_gitignore_names_are_left_out(write: Write) -> None:
    root = write({
        "train.py": "", "pkg/model.py": "", "pkg/__pycache__/model.pyc": "", "old.pyc": "", ".env": "secret",
        ".git/config": "", "node_modules/a.js": "", "venv/pyvenv.cfg": "",
        "venv/lib/x.py": "", "data.csv": "", "runs/1/log": "", "pkg/keep.csv": "",
        ".gitignore": "*.csv\n/runs/\n", "pkg/.gitignore": "!keep.csv\n",
    })  # fmt: skip
    found = find_files(root)
    assert found.paths == ("pkg/keep.csv", "pkg/model.py", "train.py")
    assert found.left_out == 10


def test_it_agrees_with_git(write: Write) -> None:
    root = write({
        ".gitignore": "build\n*.log\n!keep.log\ndocs/*.txt\n/top\n**/deep/x\n#no\n\\#yes\ntrail /\n",
        "build/a": "", "a/build/b": "", "x.log": "", "keep.log": "", "a/keep.log": "", "docs/a.txt": "",
        "docs/sub/a.txt": "", "top": "", "a/top": "", "q/deep/x": "", "#yes": "", "b/.gitignore": "*\n!*.py\n",
        "b/c.py": "", "b/c.txt": "", "b/sub/c.py": "",
    })  # fmt: skip
    git(root, "init")
    listed = git(root, "ls-files", "-z", "--others", "--exclude-standard").split("\0")
    assert list(find_files(root).paths) == sorted(
        path for path in listed if path and not Path(path).name.startswith(".")
    )


def test_what_the_repository_ignores_above_the_folder_is_left_out(write: Write) -> None:
    root = write({"project/train.py": "", "project/secrets.yaml": "", "project/keep.log": "", "project/out/x": ""})
    write({".gitignore": "secrets.yaml\n*.log\n/project/out/\n", "project/.gitignore": "!keep.log\n"})
    assert "secrets.yaml" in find_files(root / "project").paths  # in no repository
    git(root, "init")
    listed = git(root, "ls-files", "--others", "--exclude-standard", "project").split()
    found = find_files(root / "project").paths
    assert found == ("keep.log", "train.py")
    assert set(listed) - {"project/.gitignore"} == {f"project/{path}" for path in found}


def test_a_folder_that_its_repository_ignores_is_brought_if_it_is_named(write: Write) -> None:
    root = write({"build/train.py": "", ".gitignore": "build/\n"})
    git(root, "init")
    assert find_files(root / "build").paths == ("train.py",)


def test_a_link_within_the_folder_is_its_file_and_one_that_leads_out_is_rejected(write: Write, tmp_path: Path) -> None:
    root = write({"pkg/model.py": "m", "train.py": "t"})
    (root / "model.py").symlink_to("pkg/model.py")
    assert find_files(root).paths == ("model.py", "pkg/model.py", "train.py")
    (tmp_path / "id_rsa").write_text("secret")
    (root / "pkg" / "key").symlink_to("../../id_rsa")
    with pytest.raises(CommandError, match=r"pkg/key: is a link to .*id_rsa, which is outside the folder"):
        find_files(root)
    (root / ".gitignore").write_text("key\n")
    assert find_files(root).paths == ("model.py", "pkg/model.py", "train.py")


@pytest.mark.parametrize("target", ["nowhere", "pkg", "loop"])
def test_a_link_to_anything_but_a_file_is_rejected(write: Write, target: str) -> None:
    root = write({"pkg/model.py": "m"})
    (root / "loop").symlink_to(target)
    with pytest.raises(CommandError, match="loop: is a link to a folder or to nothing"):
        find_files(root)


def test_pipes_strange_names_and_absent_folders_are_rejected(write: Write, tmp_path: Path) -> None:
    root = write({"train.py": ""})
    os.mkfifo(root / "pipe")
    with pytest.raises(CommandError, match="pipe: is a pipe"):
        find_files(root)
    (root / "pipe").rename(root / "two\nlines")
    with pytest.raises(CommandError, match=r"'two\\nlines', expected printable"):
        find_files(root)
    with pytest.raises(CommandError, match="is no folder"):
        find_files(root / "train.py")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandError, match="contains no files"):
        find_files(tmp_path / "empty")


def test_too_many_files_are_rejected(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "MAX_FILES", 2)
    with pytest.raises(CommandError, match="more than 2 files"):
        find_files(write({"a": "", "b": "", "c": ""}))


def test_a_revision_is_what_was_committed_of_the_folder(write: Write, tmp_path: Path) -> None:
    root = write({"sub/train.py": "old", "other/x.py": ""})
    git(root, "init")
    git(root, "add", "-A")
    git(root, "commit", "-m", "one")
    write({"sub/train.py": "new", "sub/more.py": ""})
    found = extract_revision(root / "sub", "HEAD", tmp_path / "out")
    assert found.paths == ("train.py",)
    assert (found.root / "train.py").read_text() == "old"
    assert found.revision == git(root, "rev-parse", "HEAD").strip()


def test_a_revisions_links_and_modes_are_kept_and_links_that_lead_out_are_rejected(
    write: Write, tmp_path: Path
) -> None:
    root = write({"run.sh": "x", "pkg/a.py": "a"})
    (root / "run.sh").chmod(0o755)
    (root / "link.py").symlink_to("pkg/a.py")
    git(root, "init")
    git(root, "add", "-A")
    git(root, "commit", "-m", "one")
    found = extract_revision(root, "HEAD", tmp_path / "one")
    assert found.paths == ("link.py", "pkg/a.py", "run.sh")
    assert (found.root / "link.py").read_text() == "a"
    assert os.access(found.root / "run.sh", os.X_OK) and not os.access(found.root / "pkg/a.py", os.X_OK)
    (root / "link.py").unlink()
    (root / "link.py").symlink_to("/etc/hostname")
    git(root, "commit", "-am", "two")
    with pytest.raises(CommandError, match=r"link.py: is a link to /etc/hostname"):
        extract_revision(root, "HEAD", tmp_path / "two")


def test_an_archive_writes_nothing_outside_of_its_folder_or_through_a_link(tmp_path: Path) -> None:
    def archive(*members: tuple[str, str | None]) -> tarfile.TarFile:
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as writer:
            for name, link in members:
                member = tarfile.TarInfo(name)
                member.type, member.linkname = (tarfile.SYMTYPE, link) if link else (tarfile.REGTYPE, "")
                writer.addfile(member, io.BytesIO())
        content.seek(0)
        return tarfile.open(fileobj=content)

    for name in ("../x", "/tmp/x", "a/../../x"):
        with pytest.raises(CommandError, match="expected one below the folder"):
            finding._extract(archive((name, None)), tmp_path / name.replace("/", "_"))
    with pytest.raises(OSError, match="exists"):
        finding._extract(archive(("a", str(tmp_path)), ("a/x", None)), tmp_path / "links")
    (tmp_path / "there").mkdir()
    with pytest.raises(CommandError, match="'a/x' behind a link"):
        finding._extract(archive(("a", str(tmp_path / "there")), ("a/x", "y")), tmp_path / "more")
    assert not (tmp_path / "x").exists() and not any((tmp_path / "there").iterdir())


@pytest.mark.parametrize("revision", ["nothing", "--output=x", "HEAD:train.py"])
def test_a_revision_that_does_not_exist_is_named(write: Write, tmp_path: Path, revision: str) -> None:
    root = write({"train.py": "old"})
    git(root, "init")
    git(root, "add", "-A")
    git(root, "commit", "-m", "one")
    with pytest.raises(CommandError, match="git rev-parse: "):
        extract_revision(root, revision, tmp_path / "out")
    with pytest.raises(CommandError, match="not a git repository"):
        extract_revision(tmp_path, "HEAD", tmp_path / "out")
