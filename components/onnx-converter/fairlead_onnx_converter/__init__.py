"""The ONNX converter: converts a torch program to ONNX and publishes it only if both return the same outputs."""

__version__ = "0.1.0"
