"""The ONNX converter: converts models to ONNX and publishes them only if both return the same outputs."""

__version__ = "0.1.0"
