"""The model as Seldon Core v1's Python wrapper serves it; the wrapper wants a file and a class of one name."""

import os
from typing import Any

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]


class PeerSeldon:
    """A component of Seldon's."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])

    def predict(self, X: Any, features_names: Any = None) -> Any:  # noqa: ARG002
        """Run the model."""
        return self._session.run(None, {"pixels": np.asarray(X, dtype=np.float32)})[0]
