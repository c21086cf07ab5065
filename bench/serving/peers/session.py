"""The session of all peers: the same model and thread as ours. It has a file of its own for their environments."""

import os

import onnxruntime as ort  # type: ignore[import-untyped]


def open_session() -> ort.InferenceSession:
    """Open the model."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
