"""Tensors of the Open Inference Protocol v2 as numpy arrays, and checks against their specification."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from .datatypes import DATATYPES
from .errors import ContractError, Words

_BF16: np.dtype[Any] | None = None
try:
    import ml_dtypes

    _BF16 = np.dtype(ml_dtypes.bfloat16)
except ImportError:  # without it BF16 is an unknown data type, as on devices
    pass

Array = NDArray[Any]

DTYPES: dict[str, np.dtype[Any]] = {name: np.dtype(kind.numpy) for name, kind in DATATYPES.items() if kind.numpy}
"""V2's data type -> numpy's."""
if _BF16 is not None:
    DTYPES["BF16"] = _BF16
_LARGEST_BF16 = (2 - 2**-7) * 2.0**127

_NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True)
class TensorSpec:
    """An input or output tensor. A dimension is a size, a symbol (equal symbols are equal sizes) or None."""

    name: str
    datatype: str
    dims: tuple[int | str | None, ...] | None
    """Its dimensions; None if their number is free, too."""
    optional: bool = field(default=False, kw_only=True)
    """Whether the model has a value of its own for an input that is not sent."""

    @property
    def shape(self) -> list[int]:
        """Return the shape in V2's format: -1 for a free dimension. V2 has no words for a free number of them: []."""
        return [dim if isinstance(dim, int) else -1 for dim in self.dims or ()]

    def describe(self) -> dict[str, Any]:
        """Return the tensor's metadata in V2's format."""
        return {"name": self.name, "datatype": self.datatype, "shape": self.shape}


def datatype_of(array: Array) -> str:
    """Return the V2 data type of an array."""
    return _NAMES.get(array.dtype, "BYTES")


def _is_bf16(dtype: np.dtype[Any]) -> bool:
    return _BF16 is not None and dtype == _BF16


def is_float(dtype: np.dtype[Any]) -> bool:
    """Return whether an array's numbers are floating-point ones, BF16 included."""
    return dtype.kind == "f" or _is_bf16(dtype)


def is_finite(array: Array) -> bool:
    """Return whether an array of floating-point numbers has neither infinity nor not-a-number."""
    # `all` goes through Python, which takes longer than all else for a few values
    return int(np.count_nonzero(np.isfinite(array))) == array.size


def largest(dtype: np.dtype[Any]) -> float:
    """Return the largest finite number of a floating-point type."""
    return _LARGEST_BF16 if _is_bf16(dtype) else float(np.finfo(dtype).max)


def widen(array: Array) -> Array:
    """Return an array in a type that JSON libraries know: BF16 as FP32, which has all of its values."""
    return array.astype(np.float32) if _is_bf16(array.dtype) else array


def is_shape(value: Any) -> TypeGuard[list[int]]:
    """Return whether a value of parsed JSON is a list of sizes."""
    if not isinstance(value, list):
        return False
    for size in value:  # noqa: SIM110 - a generator takes three times as long, for each tensor of each request
        if type(size) is not int or size < 0:
            return False
    return True


def reshape(array: Array, shape: Sequence[int], at: str) -> Array:
    """Return an array in a shape of as many values; raise ContractError if no array can have it, such as (0, 2**63)."""
    try:
        return array.reshape(shape)
    except (ValueError, OverflowError) as error:
        raise ContractError(at, Words(f"shape of {len(shape)} dimensions"), f"a valid shape ({error})") from None


def check_tensor(
    spec: TensorSpec, datatype: str, shape: Sequence[int], where: str, symbols: dict[str, tuple[int, str]]
) -> None:
    """Raise ContractError unless data type and shape match the specification.

    `where` includes the separator before the field; `symbols` collects the sizes of symbolic dimensions.
    """
    if datatype != spec.datatype:
        raise ContractError(f"{where}datatype", datatype, spec.datatype)
    if spec.dims is None:
        return
    if len(shape) != len(spec.dims):
        raise ContractError(f"{where}shape", list(shape), f"{spec.shape} (-1: any size)")
    for index, (dim, size) in enumerate(zip(spec.dims, shape, strict=True)):
        if dim.__class__ is int:
            if dim != size:
                raise ContractError(f"{where}shape", list(shape), f"{spec.shape} (-1: any size)")
        elif dim is not None:
            bound, first = symbols.setdefault(str(dim), (size, where))
            if bound != size:
                raise ContractError(f"{where}shape[{index}]", size, f"{bound}, as in {first}shape")


def cast(array: Array, datatype: str, where: str) -> Array:
    """Convert numbers without a declared type; raise ContractError if a value would change."""
    target = DTYPES[datatype]
    if array.dtype == target:
        return array
    if datatype == "BYTES" or array.dtype == object:
        raise ContractError(f"{where} datatype", Words("text" if array.dtype == object else "numbers"), datatype)
    with np.errstate(all="ignore"):
        converted = array.astype(target)
        kept = np.isfinite(converted) == np.isfinite(array) if is_float(target) else converted == array
    if not kept.all():
        value = array[~kept].flat[0]
        raise ContractError(where, value.item(), f"values that {datatype} can hold")
    return converted
