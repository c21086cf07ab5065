"""The engine without a server: bare.py MODEL SECONDS. Prints the median latency, and the memory, as JSON."""

import json
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]

from bench.devices.memory import measure_memory

_SIZE = 224


def main() -> None:
    """Measure and print."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(Path(sys.argv[1]).read_bytes(), options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).random((1, 3, _SIZE, _SIZE), np.float32)
    session.run(None, {"x": x})
    latencies, end = [], time.perf_counter() + float(sys.argv[2])
    while (start := time.perf_counter()) < end:
        session.run(None, {"x": x})
        latencies.append(time.perf_counter() - start)
    memory = measure_memory([os.getpid()])
    print(json.dumps({"ms": statistics.median(latencies) * 1000, "mib": memory}))


if __name__ == "__main__":
    main()
