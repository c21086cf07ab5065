"""Datasets of arrays and the ONNX models that run on them: what the converter and the evaluation share."""

import os

# ONNX Runtime reads this when it is imported: no telemetry is collected, stored or sent.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
