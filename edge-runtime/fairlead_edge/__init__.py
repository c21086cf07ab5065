"""The edge runtime: builds small verified bundles, and serves them on devices."""

import os

# ONNX Runtime reads this when it is imported: no telemetry is collected, stored or sent.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
