"""A model that answers with its input, so that a dataset's `x` is what it predicts; and the command on both."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_artifacts import Manifest, fetch, model_card_uri, publish, read_manifest
from fairlead_contracts.signature import Signature, TensorSignature
from fairlead_evaluation.main import main

from tests.support.onnx_models import identity


@dataclass(frozen=True)
class Store:
    """A store with a model and its data, and the card that the command publishes."""

    folder: Path
    model: str
    digest: str
    dataset: str

    @property
    def card(self) -> str:
        return model_card_uri(self.model, self.digest)

    def evaluate(self, *arguments: str) -> int:
        """Run the command; a later option wins over an earlier one."""
        fixed = ["--model", self.model, "--dataset", self.dataset, "--minimum", "0.9", "--min-examples", "4"]
        return main([*fixed, *arguments])

    def read_card(self) -> Manifest:
        return read_manifest(self.card)

    def fetch_card(self, name: str) -> dict[str, Any]:
        fetch(self.card, self.folder / name)
        document: dict[str, Any] = json.loads((self.folder / name / "card.json").read_text())
        return document


Make = Callable[..., Store]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that publishes a model and a dataset with arrays of some names."""

    def run(datatype: str = "FP32", parameters: dict[str, Any] | None = None, **arrays: Any) -> Store:
        data, model = tmp_path / "data", tmp_path / "model"
        data.mkdir()
        model.mkdir()
        np.savez(data / "eval.npz", **arrays)
        shape = (-1, *np.asarray(arrays["x"]).shape[1:])
        (model / "model.onnx").write_bytes(identity(datatype, ["n", *shape[1:]]))
        ports = [(TensorSignature(name, datatype, shape),) for name in ("x", "y")]
        signature = Signature(*ports)
        more = {"kind": "onnx-model", "producer": "tests/0", "signature": signature, "parameters": parameters or {}}
        uri = f"{tmp_path.as_uri()}/store"
        manifest = publish(model, f"{uri}/model", **more)
        publish(data, f"{uri}/data", kind="dataset", producer="tests/0")
        return Store(tmp_path, f"{uri}/model", manifest.digest, f"{uri}/data")

    return run
