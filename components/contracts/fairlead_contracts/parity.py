"""Parity tables, in parity.json and in manifests: a converted or compressed model compared with its source."""

from typing import ClassVar

from pydantic import AliasChoices, ConfigDict, Field

from .base import Contract

_NAME = 253


class _Figures(Contract):
    # Fields keep their names in JSON. Measured values may be infinite or NaN; published values may not.
    model_config = ConfigDict(alias_generator=None, allow_inf_nan=True)
    max_bytes: ClassVar[int] = 1 << 16


class _Published(_Figures):
    model_config = ConfigDict(allow_inf_nan=False)


class ConversionParity(_Figures):
    """An ONNX model compared with the model from which it was converted (its source), as measured."""

    examples: int = Field(ge=0)
    """Number of examples compared."""
    max_abs_difference: float
    """The largest difference of an output value."""
    max_rel_difference: float
    """The largest difference of an output value, relative to the source's value."""
    outside_tolerance: int = Field(ge=0)
    """Number of values that differ by more than atol + rtol * |the source's value|; integers, booleans and texts that
    differ at all."""
    values: int = Field(ge=0)
    """Number of output values compared."""
    different_classes: int | None = Field(None, ge=0)
    """Number of examples for which the predicted classes differ; None if the model predicts none, or if the artifact is
    older than this field."""
    different_examples: int | None = Field(None, ge=0)
    """Number of examples for which a value is outside the tolerance or the class differs; None in older artifacts."""
    different_bound: float | None = None
    """The upper bound, with 95 % confidence, of the share of such examples; None in older artifacts."""
    source_accuracy: float | None = Field(validation_alias=AliasChoices("source_accuracy", "torch_accuracy"))
    """Accuracy of the source; None without labels, or if the first output is neither a class nor a score per class.
    Older artifacts call it torch_accuracy."""
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
    """Tolerance: atol + rtol * |the source's value|."""
    rtol: float
    min_accuracy: float
    """The minimum accuracy; 0 for models that are not classifiers."""
    min_examples: int | None = Field(None, ge=0)
    """The minimum number of examples; None in older artifacts."""
    max_different: int | None = Field(None, ge=0)
    """The maximum number of different examples; None in older artifacts."""
    source: str | None = Field(None, max_length=_NAME)
    """The format of the source; None in older artifacts, whose sources are torch programs."""


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
