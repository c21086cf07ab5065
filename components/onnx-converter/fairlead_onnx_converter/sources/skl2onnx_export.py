"""skl2onnx: which types it knows, what it raises, and one repair."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from fairlead_contracts.signature import FILE as SIGNATURE_FILE
from fairlead_contracts.signature import TensorSignature
from fairlead_datasets.errors import first_line

from ..errors import ConversionFailed

_MAX_ML_OPSET = 3
"""The newest opset of ai.onnx.ml that skl2onnx's converters are written for."""
_TYPES = {
    "FP32": "FloatTensorType", "FP64": "DoubleTensorType", "INT64": "Int64TensorType", "INT32": "Int32TensorType",
    "BOOL": "BooleanTensorType", "BYTES": "StringTensorType",
}  # fmt: skip

_FAILURES = (
    ValueError, LookupError, TypeError, AttributeError, NameError, RuntimeError, MemoryError, AssertionError,
)  # fmt: skip
"""What skl2onnx raises besides its own exceptions."""


def build_onnx(model: Any, inputs: Sequence[TensorSignature], opset: int | None, probabilities: bool, what: str) -> Any:
    """Return an estimator, called `what` in messages, as an ONNX model; raise ConversionFailed."""
    import skl2onnx  # type: ignore[import-untyped]

    options = {"zipmap": False} if probabilities else None
    target = {"": opset, "ai.onnx.ml": _MAX_ML_OPSET} if opset else None
    types = [(tensor.name, _find_type(tensor)) for tensor in inputs]
    failures: tuple[type[Exception], ...] = (*_FAILURES, *_own_errors())
    try:
        with warnings.catch_warnings(), _integers_for_booleans():
            warnings.simplefilter("ignore")
            return skl2onnx.convert_sklearn(model, "model", types, options=options, target_opset=target)
    except failures as error:
        reason = first_line(error.__cause__ or error)
        raise ConversionFailed(f"model: skl2onnx {skl2onnx.__version__} cannot convert {what}: {reason}") from None


def _find_type(tensor: TensorSignature) -> Any:
    from skl2onnx.common import data_types  # type: ignore[import-untyped]

    if tensor.dtype not in _TYPES or len(tensor.shape) != 2:
        raise ConversionFailed(
            f"{SIGNATURE_FILE}: inputs: {tensor.name}: got {tensor.dtype} {list(tensor.shape)}, expected a matrix, or "
            f"columns of shape [-1, 1], of {', '.join(_TYPES)}"
        )
    return getattr(data_types, _TYPES[tensor.dtype])([None, tensor.shape[1] if tensor.shape[1] > 0 else None])


def _own_errors() -> tuple[type[Exception], ...]:
    """Return skl2onnx's own exceptions, which have no common base."""
    from skl2onnx.common import exceptions

    return tuple(kind for kind in vars(exceptions).values() if isinstance(kind, type) and issubclass(kind, Exception))


@contextmanager
def _integers_for_booleans() -> Iterator[None]:
    """Give ONNX integers where skl2onnx's trees of HistGradientBoosting have booleans, which protobuf 7 rejects."""
    from skl2onnx.common import _container

    original = _container.make_node

    def make_node(*arguments: Any, **attributes: Any) -> Any:
        return original(*arguments, **{name: _without_booleans(value) for name, value in attributes.items()})

    _container.make_node = make_node
    try:
        yield
    finally:
        _container.make_node = original


def _without_booleans(value: Any) -> Any:
    if isinstance(value, list):
        return [int(item) if isinstance(item, bool | np.bool_) else item for item in value]
    return value
