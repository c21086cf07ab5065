"""The graph server: runs an inference graph with Seldon's semantics, ONNX nodes in process and others over REST."""

__version__ = "0.1.0"
