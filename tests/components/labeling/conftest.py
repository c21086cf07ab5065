"""A dataset with a pool of examples without labels, a model's scores for it, and the commands on both."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_artifacts import Manifest, fetch, publish, read_manifest
from fairlead_contracts.array_archives import write_arrays
from fairlead_labeling.main import main

from tests.support.label_studio import LabelStudioServer, started_label_studio

LABELS = ("cat", "dog", "fox")
POOL = 12


@dataclass
class Desk:
    """A folder with a store; the commands on it."""

    folder: Path
    errors: Callable[[], str]

    @property
    def dataset(self) -> str:
        return f"{self.folder.as_uri()}/store/data/v1"

    @property
    def next(self) -> str:
        return f"{self.folder.as_uri()}/store/data/v2"

    @property
    def model(self) -> str:
        return f"{self.folder.as_uri()}/store/model"

    @property
    def tasks(self) -> Path:
        return self.folder / "tasks.json"

    def publish(self, uri: str, kind: str = "dataset", parameters: Any = None, **arrays: Mapping[str, Any]) -> str:
        """Publish archives of arrays, by name; return the digest."""
        source = self.folder / f"source-{len(list(self.folder.iterdir()))}"
        source.mkdir()
        for name, content in arrays.items():
            write_arrays(source / f"{name}.npz", content)
        (source / "recipe.json").write_text("{}")
        return publish(source, uri, kind=kind, producer="tests/0", parameters=parameters).digest

    def run(self, command: str, *words: str) -> int:
        return main([command, *words])

    def select(self, scores: Any, *words: str) -> int:
        """Select by scores from a file."""
        file = self.folder / "scores.npz"
        np.savez(file, scores=np.asarray(scores, np.float32))
        argv = ["--dataset", self.dataset, "--model", self.model, "--predictions", str(file), "--out", str(self.tasks)]
        return self.run("select", *argv, *words)

    def items(self) -> list[str]:
        """Return the ids of the selected items."""
        return [item["id"] for item in json.loads(self.tasks.read_text())["items"]]

    def annotate(self, answers: Mapping[str, Mapping[str, str]], dataset: str | None = None) -> Path:
        """Write annotations: annotator -> item -> label."""
        file = self.folder / "annotations.json"
        rows = [
            {"item": item, "annotator": name, "label": label}
            for name, given in answers.items() for item, label in given.items()
        ]  # fmt: skip
        digest = dataset or read_manifest(self.dataset).digest
        file.write_text(json.dumps({"dataset": digest, "annotations": rows}))
        return file

    def bring(self, answers: Mapping[str, Mapping[str, str]], *words: str) -> int:
        """Import annotations that are in a file."""
        file = self.annotate(answers)
        return self.run("import", "--tasks", str(self.tasks), "--json", str(file), "--to", self.next, *words)

    def published(self) -> bool:
        return Path(self.next.removeprefix("file://")).exists()

    def arrays(self, uri: str) -> dict[str, dict[str, Any]]:
        """Return the arrays of each split."""
        folder = self.folder / f"fetched-{len(list(self.folder.iterdir()))}"
        fetch(uri, folder)
        return {file.stem: dict(np.load(file)) for file in sorted(folder.glob("*.npz"))}

    def manifest(self) -> Manifest:
        return read_manifest(self.next)


@pytest.fixture(scope="session")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudioServer]:
    """Return a real Label Studio, which is started once."""
    with started_label_studio(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    """Return a store with a dataset: 6 examples to train on, 3 to test with, and a pool of 12; and a model."""
    made = Desk(tmp_path, lambda: capsys.readouterr().err)
    rows = np.random.default_rng(0).normal(size=(6 + 3 + POOL, 4)).astype(np.float32)
    labels = np.arange(9) % 3
    parameters = {"format": "npz", "rows": len(rows), "labels": list(LABELS), "features": ["a", "b", "c", "d"]}
    made.publish(
        made.dataset,
        parameters=parameters | {"splits": {"eval": 3, "pool": POOL, "train": 6}, "source": {"kind": "path"}},
        train={"x": rows[:6], "y": labels[:6]},
        eval={"x": rows[6:9], "y": labels[6:]},
        pool={"x": rows[9:]},
    )
    made.publish(made.model, "onnx-model")
    return made


@pytest.fixture
def selected(desk: Desk) -> Desk:
    """Return a store of whose pool the 6 rows 11, 10, …, 6 are selected."""
    certainty = np.linspace(0.9, 0.4, POOL)
    scores = np.stack([certainty, (1 - certainty) / 2, (1 - certainty) / 2], axis=1)
    assert desk.select(scores, "--count", "6") == 0, desk.errors()
    return desk


def agree(items: list[str], *names: str) -> dict[str, dict[str, str]]:
    """Return the same labels by each annotator, all labels in turn."""
    return {name: {item: LABELS[place % 3] for place, item in enumerate(items)} for name in names}
