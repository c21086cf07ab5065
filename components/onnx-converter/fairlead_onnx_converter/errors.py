"""The errors of a conversion."""

from fairlead_datasets.errors import Unusable


class ConversionRejected(Exception):
    """The ONNX model's outputs differ from its source's; the message has the figures. Nothing is published."""


class ConversionFailed(Unusable):
    """The model or the request cannot be used; the message names the file, what was found and what was expected."""
