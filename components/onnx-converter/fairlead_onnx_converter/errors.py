"""The errors of a conversion."""


class ConversionRejected(Exception):
    """The ONNX model's outputs differ from its source's; the message has the figures. Nothing is published."""


class ConversionFailed(Exception):
    """The model or the dataset cannot be used; the message names the file, what was found and what was expected."""
