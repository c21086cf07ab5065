"""The graph server: runs an inference graph with Seldon's semantics, ONNX nodes in process and others over REST."""

import os

# ONNX Runtime reads this when it is imported: no telemetry is collected, stored or sent.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
