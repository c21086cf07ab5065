"""The limit of batches: the same rows through the same session in a loop, without a server; prints rows a second."""

import sys
import time

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]


def main(path: str, rows: int, seconds: float) -> None:
    """Run batches for some seconds."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    batch = np.random.default_rng(1).random((rows, 64), dtype=np.float32)
    count, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        session.run(None, {"pixels": batch})
        count += 1
    print(count / seconds)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
