"""The graph server: runs an inference graph with Seldon's semantics, ONNX nodes inside it and other nodes over REST."""

__version__ = "0.1.0"
