"""Recipes, the files that they name, and the command."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from fairlead_artifacts import Manifest, fetch, read_manifest
from fairlead_data_ingest.main import main

from tests.support.object_stores import ObjectStore, find_minio, started_minio


@dataclass
class Kitchen:
    """A folder with data and a store to publish to."""

    folder: Path
    errors: Callable[[], str]
    uri: str

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)

    def run(self, recipe: Mapping[str, Any] | str, *arguments: str) -> int:
        """Run the command on a recipe."""
        file = self.folder / "recipe.yaml"
        file.write_text(recipe if isinstance(recipe, str) else yaml.safe_dump(recipe, sort_keys=False))
        return main(["--recipe", str(file), "--to", self.uri, *arguments])

    def make(self, recipe: Mapping[str, Any]) -> Manifest:
        """Make a dataset, which must succeed."""
        assert self.run(recipe) == 0, self.errors()
        return read_manifest(self.uri)

    def reject(self, recipe: Mapping[str, Any] | str, code: int = 2) -> str:
        """Return the message of a recipe that must fail without publishing anything."""
        assert self.run(recipe) == code
        assert not Path(self.uri.removeprefix("file://")).exists()
        return self.errors()

    def fetch(self, name: str = "fetched") -> Path:
        fetch(self.uri, self.folder / name)
        return self.folder / name

    def arrays(self) -> dict[str, dict[str, Any]]:
        """Return the arrays of each split of the published dataset."""
        folder = Path(self.uri.removeprefix("file://"))
        return {file.stem: dict(np.load(file)) for file in sorted(folder.glob("*.npz"))}

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of each split of the published dataset of Parquet files."""
        folder = Path(self.uri.removeprefix("file://"))
        return {file.stem: pq.read_table(file).to_pylist() for file in sorted(folder.glob("*.parquet"))}


@pytest.fixture
def kitchen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Kitchen:
    return Kitchen(tmp_path, lambda: capsys.readouterr().err, (tmp_path / "store" / "data").as_uri())


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Return a real S3 server; skip if the binary has not been built."""
    program = find_minio()
    if program is None:
        pytest.skip("MinIO has not been built: `make cluster` does it")
    with started_minio(program, tmp_path_factory.mktemp("s3"), "data") as store:
        yield store


def run_apart(*arguments: str, **variables: str) -> "subprocess.Popen[str]":
    """Start the command as a process of its own."""
    command = [sys.executable, "-m", "fairlead_data_ingest.main", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables or None)


def read_json(file: Path) -> Any:
    return json.loads(file.read_text())
