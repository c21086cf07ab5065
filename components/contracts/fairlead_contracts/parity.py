"""Parity tables: how a converted or compressed model compares with its source, in parity.json and in manifests."""

from typing import ClassVar

from pydantic import ConfigDict, Field

from .base import Contract

_NAME = 253


class _Figures(Contract):
    # Fields keep their names in JSON. What was measured may be infinite or no number; what is published may not.
    model_config = ConfigDict(alias_generator=None, allow_inf_nan=True)
    max_bytes: ClassVar[int] = 1 << 16


class _Published(_Figures):
    model_config = ConfigDict(allow_inf_nan=False)


class ConversionParity(_Figures):
    """An ONNX model against its torch program, as measured."""

    examples: int = Field(ge=0)
    """Examples compared."""
    max_abs_difference: float
    """The greatest difference of an output value."""
    max_rel_difference: float
    """The greatest difference of an output value, relative to torch's."""
    outside_tolerance: int = Field(ge=0)
    """Values that differ by more than atol + rtol * |torch's value|."""
    values: int = Field(ge=0)
    """Output values compared."""
    torch_accuracy: float | None
    """None without labels, or where the first output is no score per class."""
    onnx_accuracy: float | None
    """Likewise, of the ONNX model."""


class ConversionTable(ConversionParity, _Published):
    """parity.json of an onnx-model: the figures and the limits that they were held to."""

    split: str = Field(max_length=_NAME)
    """The split of the dataset that was compared on."""
    scale: float
    """Inputs were value * scale + offset."""
    offset: float
    atol: float
    """Tolerance: atol + rtol * |torch's value|."""
    rtol: float
    min_accuracy: float
    """The least accuracy; 0 for models that are no classifiers."""


class BundleParity(_Figures):
    """A compressed model against its source, as measured on examples that calibration did not see."""

    examples: int = Field(ge=0)
    """Examples compared."""
    max_abs_difference: float
    """The greatest difference of an output value."""
    agreement: float
    """Part of the examples for which both models give the same class."""
    accuracy_before: float
    """The source's."""
    accuracy_after: float
    """The compressed model's."""
    bytes_before: int = Field(ge=0)
    """Size of the source."""
    bytes_after: int = Field(ge=0)
    """Size of the compressed model."""


class BundleTable(BundleParity, _Published):
    """parity.json of an edge bundle: the figures and the limit that they were held to."""

    split: str = Field(max_length=_NAME)
    """The split of the dataset that was compared on."""
    max_drop: float
    """The greatest drop of accuracy, in parts of 1."""
