"""The limit of a chain: as many sessions in a loop, without a server; prints the microseconds of a chain."""

import sys
import time

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]


def main(path: str, length: int, columns: int, seconds: float) -> None:
    """Run chains for some seconds."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = [ort.InferenceSession(path, options, providers=["CPUExecutionProvider"]) for _ in range(length)]
    row = np.random.default_rng(1).random((1, columns), dtype=np.float32)
    count, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        value = row
        for session in sessions:
            (value,) = session.run(None, {"x": value})
        count += 1
    print(seconds / count * 1e6)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
