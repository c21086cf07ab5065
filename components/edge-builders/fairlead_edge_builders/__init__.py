"""The builders of models for phones: from ONNX to LiteRT, ExecuTorch and Core ML, in an environment of their own."""

import os

# ONNX Runtime reads the first when it is imported: no telemetry is collected, stored or sent. The others keep libraries
# that litert-torch imports from asking model hubs for anything.
os.environ.update(ORT_DISABLE_TELEMETRY="1", HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")

__version__ = "0.1.0"
