"""The ONNX converter: from a torch program to ONNX, published only when both give the same answers."""

__version__ = "0.1.0"
