"""The digits and the network of the worked example, published as its training job does."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fairlead_artifacts import publish
from fairlead_compression.main import main
from fairlead_compression.recipe import Training
from fairlead_compression.training import train
from fairlead_contracts.signature import FILE as SIGNATURE_FILE
from fairlead_contracts.signature import Signature, TensorSignature
from torch import nn
from torch.nn import functional

SCALE = 1 / 16
_DATA = Path(__file__).parents[3] / "examples" / "digits" / "data.py"


@dataclass
class Desk:
    """A store with a model and a dataset, and the command on them."""

    folder: Path
    store: Path
    errors: Callable[[], str]
    words: list[str] = field(default_factory=lambda: ["--scale", str(SCALE)])

    @property
    def out(self) -> Path:
        return self.folder / "smaller"

    def run(self, recipe: str, *more: str, model: str = "model", dataset: str = "digits") -> int:
        """Run a recipe; nothing may be published unless it succeeds."""
        file = self.folder / "recipe.yaml"
        file.write_text(recipe)
        places = [
            "--model", (self.store / model).as_uri(), "--dataset", (self.store / dataset).as_uri(),
            "--out-uri", self.out.as_uri(), "--out", str(self.folder / "out.json"),
        ]  # fmt: skip
        code = main(["run", "--recipe", str(file), *places, *self.words, *more])
        assert (code == 0) == self.out.exists()
        return code

    def result(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "out.json").read_text()))


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Publish the digits and a trained network."""
    folder, model = tmp_path_factory.mktemp("store"), tmp_path_factory.mktemp("model")
    _publish_digits((folder / "digits").as_uri())
    arrays = np.load(folder / "digits" / "train.npz")
    images, labels = torch.from_numpy(arrays["x"]) * SCALE, torch.from_numpy(arrays["y"])
    torch.manual_seed(7)
    # the network of examples/digits/train.py, whose module imports Horovod
    network = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 4 * 4, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    training = Training(epochs=8, learning_rate=2e-3)
    train(network, [images], lambda scores, rows: functional.cross_entropy(scores, labels[rows]), training)
    _save(network.eval(), images[:2].clone(), model)
    publish(model, (folder / "model").as_uri(), kind="model", producer="tests/0")
    return folder


def _publish_digits(uri: str) -> None:
    """Publish the dataset with the example's environment, which has scikit-learn."""
    home = Path(os.environ.get("FAIRLEAD_HOME") or Path.home() / ".fairlead")
    subprocess.run([str(home / "envs" / "digits" / "bin" / "python"), str(_DATA), "--uri", uri], check=True)


def _save(network: nn.Module, images: torch.Tensor, folder: Path) -> None:
    """Write what the trainer's `save_model` does, which this environment does not have."""
    batch = torch.export.Dim("batch")
    program = torch.export.export(network, (images,), dynamic_shapes=({0: batch},), strict=False)
    torch.export.save(program, folder / "model.pt2")
    image = TensorSignature(name="image", dtype="FP32", shape=(-1, 1, 8, 8))
    logits = TensorSignature(name="logits", dtype="FP32", shape=(-1, 10))
    (folder / SIGNATURE_FILE).write_text(json.dumps(Signature((image,), (logits,)).to_json()))


@pytest.fixture
def desk(tmp_path: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    """Return a store with the digits and their network."""
    return Desk(tmp_path, store, lambda: capsys.readouterr().err)
