"""What ends a conversion."""


class ConversionRejected(Exception):
    """The ONNX model does not do what its source does; the message has the figures. Nothing is published."""


class ConversionFailed(Exception):
    """The model or the dataset cannot be used; the message names the file, what is there and what was expected."""
