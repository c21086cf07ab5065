"""Parity tables, in parity.json and in manifests: a converted or compressed model compared with its source."""

from typing import ClassVar

from pydantic import ConfigDict, Field

from .base import Contract

_NAME = 253


class _Figures(Contract):
    # Fields keep their names in JSON. Measured values may be infinite or NaN; published values may not.
    model_config = ConfigDict(alias_generator=None, allow_inf_nan=True)
    max_bytes: ClassVar[int] = 1 << 16


class _Published(_Figures):
    model_config = ConfigDict(allow_inf_nan=False)


class ConversionParity(_Figures):
    """An ONNX model compared with its torch program, as measured."""

    examples: int = Field(ge=0)
    """Number of examples compared."""
    max_abs_difference: float
    """The largest difference of an output value."""
    max_rel_difference: float
    """The largest difference of an output value, relative to torch's value."""
    outside_tolerance: int = Field(ge=0)
    """Number of values that differ by more than atol + rtol * |torch's value|."""
    values: int = Field(ge=0)
    """Number of output values compared."""
    torch_accuracy: float | None
    """Accuracy of the torch program; None without labels, or if the first output is not a score per class."""
    onnx_accuracy: float | None
    """Accuracy of the ONNX model; None likewise."""


class ConversionTable(ConversionParity, _Published):
    """parity.json of an onnx-model: the figures and their limits."""

    split: str = Field(max_length=_NAME)
    """The split of the dataset that was used for the comparison."""
    scale: float
    """The model's inputs are value * scale + offset."""
    offset: float
    atol: float
    """Tolerance: atol + rtol * |torch's value|."""
    rtol: float
    min_accuracy: float
    """The minimum accuracy; 0 for models that are not classifiers."""


class BundleParity(_Figures):
    """A compressed model compared with its source, as measured on examples that were not used for calibration."""

    examples: int = Field(ge=0)
    """Number of examples compared."""
    max_abs_difference: float
    """The largest difference of an output value."""
    agreement: float
    """Fraction of the examples for which both models predict the same class."""
    accuracy_before: float
    """The source model's accuracy."""
    accuracy_after: float
    """The compressed model's accuracy."""
    bytes_before: int = Field(ge=0)
    """Size of the source model."""
    bytes_after: int = Field(ge=0)
    """Size of the compressed model."""


class BundleTable(BundleParity, _Published):
    """parity.json of an edge bundle: the figures and their limit."""

    split: str = Field(max_length=_NAME)
    """The split of the dataset that was used for the comparison."""
    max_drop: float
    """The maximum drop in accuracy, as a fraction."""
