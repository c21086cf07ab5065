"""Models and datasets of the tests, published as their authors would."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from fairlead_artifacts import publish
from fairlead_onnx_converter.main import main
from sklearn.datasets import load_iris


@pytest.fixture
def publish_folder(tmp_path: Path) -> Callable[[Path, str], str]:
    """Return a function that publishes a folder as an artifact of a kind, named like the folder."""

    def run(folder: Path, kind: str) -> str:
        uri = (tmp_path / "store" / folder.name).as_uri()
        publish(folder, uri, kind=kind, producer="tests/0")
        return uri

    return run


@pytest.fixture
def iris(tmp_path: Path, publish_folder: Callable[[Path, str], str]) -> str:
    """Publish the irises as a dataset."""
    folder = tmp_path / "iris"
    folder.mkdir()
    values, classes = load_iris(return_X_y=True)
    np.savez(folder / "eval.npz", x=values.astype(np.float32), y=classes)
    return publish_folder(folder, "dataset")


@pytest.fixture
def save_estimator(tmp_path: Path) -> Callable[[Any], Path]:
    """Return a function that writes an estimator as model.skops and returns the folder."""

    def run(estimator: Any) -> Path:
        folder = tmp_path / "model"
        folder.mkdir()
        skops.io.dump(estimator, folder / "model.skops")
        return folder

    return run


@pytest.fixture
def convert(
    tmp_path: Path, publish_folder: Callable[[Path, str], str], capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Return a function that converts a model's folder in this process; it returns exit code and what stderr said."""

    def run(folder: Path, dataset: str, *more: str) -> tuple[int, str]:
        out = (tmp_path / "store" / "onnx").as_uri()
        words = ["--model", publish_folder(folder, "model"), "--dataset", dataset, "--out-uri", out, *more]
        code = main(words)
        message = capsys.readouterr().err
        assert (code == 0) == (tmp_path / "store" / "onnx").exists()
        return code, message

    return run
