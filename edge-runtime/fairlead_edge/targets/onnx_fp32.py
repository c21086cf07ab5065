"""ONNX as it is, in one file."""

from pathlib import Path

import numpy as np
from fairlead_contracts.edge_bundle import MODEL_FILE
from numpy.typing import NDArray

from .base import Target
from .onnx_session import load_onnx


def _build(source: Path, folder: Path, _examples: NDArray[np.float32]) -> None:
    # not on devices
    import onnx

    onnx.save(onnx.load(str(source)), str(folder / MODEL_FILE))


TARGET = Target("onnx", "ONNX Runtime, 32-bit weights and activations", (MODEL_FILE,), _build, load_onnx)
