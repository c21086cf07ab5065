"""A real repository of DVC, a store, and the commands on both."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairlead_artifacts import Manifest, publish, read_manifest
from fairlead_versioning.main import main

from tests.support.object_stores import ObjectStore, find_minio, started_minio

FILES = {"train.csv": "a,b\n1,2\n", "deep/er/eval.csv": "a,b\n3,4\n", "empty": ""}


def dvc(folder: Path, *words: str) -> None:
    """Run DVC's command."""
    variables = os.environ | {"DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *words], cwd=folder, env=variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@dataclass
class Place:
    """A repository with the folder `data`, which DVC tracks and has pushed to a remote in the repository."""

    repository: Path
    folder: Path
    errors: Callable[[], str]

    @property
    def tracked(self) -> Path:
        return self.repository / "data.dvc"

    @property
    def cache(self) -> Path:
        return self.repository / ".dvc" / "cache"

    @property
    def remote(self) -> Path:
        return self.repository / "remote"

    @property
    def uri(self) -> str:
        return f"{self.folder.as_uri()}/store/data"

    def bring(self, *words: str) -> int:
        return main(["import", str(self.tracked), "--to", self.uri, *words])

    def reject(self, *words: str) -> str:
        """Return the message of an import that must fail without publishing anything."""
        assert self.bring(*words) == 2
        assert not (self.folder / "store").exists()
        return self.errors()

    def send(self, *words: str, path: str = "sent", uri: str | None = None) -> int:
        return main(["export", uri or self.uri, "--repository", str(self.repository), "--path", path, *words])

    def manifest(self) -> Manifest:
        return read_manifest(self.uri)

    def publish(self, files: Mapping[str, str], name: str) -> str:
        source = self.folder / f"source-{name}"
        write(source, files)
        uri = f"{self.folder.as_uri()}/store/{name}"
        publish(source, uri, kind="dataset", producer="tests/0", parameters={"format": "csv"})
        return uri

    def change(self, **fields: Any) -> None:
        """Change fields of the `.dvc` file, of its first out with the prefix `out_`; None removes one."""
        document = yaml.safe_load(self.tracked.read_text())
        for key, value in fields.items():
            target = document["outs"][0] if key.startswith("out_") else document
            target[key.removeprefix("out_")] = value
            if value is None:
                del target[key.removeprefix("out_")]
        self.tracked.write_text(yaml.safe_dump(document))

    def track(self, entries: list[dict[str, str]]) -> str:
        """Make DVC's list of a folder by hand, and track it; return its MD5."""
        content = json.dumps(entries).encode()
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        file = self.cache / "files" / "md5" / md5[:2] / f"{md5[2:]}.dir"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        self.change(out_md5=f"{md5}.dir", out_nfiles=None, out_size=None)
        return md5

    def objects(self, root: Path) -> list[Path]:
        """Return the objects below a cache or remote that are files, the longest first."""
        found = [file for file in root.rglob("*") if file.is_file() and not file.name.endswith(".dir")]
        return sorted(found, key=lambda file: (-file.stat().st_size, file.name))


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository that DVC has made, once: each start of DVC takes seconds."""
    repository = tmp_path_factory.mktemp("pristine") / "repository"
    write(repository / "data", FILES)
    dvc(repository, "init", "--quiet", "--no-scm")
    dvc(repository, "remote", "add", "--quiet", "--default", "near", "remote")
    dvc(repository, "add", "--quiet", "data")
    dvc(repository, "push", "--quiet")
    return repository


@pytest.fixture
def place(pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Place:
    repository = tmp_path / "repository"
    shutil.copytree(pristine, repository)
    return Place(repository, tmp_path, lambda: capsys.readouterr().err)


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Return a real S3 server; skip if the binary has not been built."""
    program = find_minio()
    if program is None:
        pytest.skip("MinIO has not been built: `make cluster` does it")
    with started_minio(program, tmp_path_factory.mktemp("s3"), "dvc") as store:
        yield store
