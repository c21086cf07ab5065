"""The ONNX converter: converts models to ONNX and publishes them only if both return the same outputs."""

import os

# ONNX Runtime reads this when it is imported: no telemetry is collected, stored or sent.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
