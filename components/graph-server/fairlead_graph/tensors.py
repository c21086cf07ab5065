"""Tensors and their signatures: V2 data types, and the checks of what is given against what a node takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import RequestRefused, Words

Array = NDArray[Any]
Tensors = Mapping[str, Array]

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8), "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32), "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8), "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32), "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16), "FP32": np.dtype(np.float32), "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(np.object_),
}  # fmt: skip
"""V2 data type to numpy's; BYTES holds str objects."""

_NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True)
class TensorSpec:
    """One tensor of a signature. A dimension is a size, a symbol (equal symbols are equal sizes) or None."""

    name: str
    datatype: str
    dims: tuple[int | str | None, ...]

    @property
    def shape(self) -> list[int]:
        """Return the shape as V2 writes it: -1 for a free dimension."""
        return [dim if isinstance(dim, int) else -1 for dim in self.dims]


@dataclass(frozen=True)
class Signature:
    """What a node takes and gives."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class Message:
    """What travels through a graph."""

    tensors: Tensors
    columns: tuple[str, ...] = ()
    """Seldon's `names`: one per column of the tensor."""
    typed: bool = True
    """False for numbers that came as plain JSON: the node that takes them decides their type."""
    tags: Mapping[str, Any] = field(default_factory=dict)


def datatype_of(array: Array) -> str:
    """Return the V2 data type of an array."""
    return _NAMES.get(array.dtype, "BYTES")


def bind(specs: Sequence[TensorSpec], message: Message, where: str) -> dict[str, Array]:
    """Return the message's tensors under the names that a node takes, checked; raise RequestRefused otherwise.

    A node with one input takes the one tensor of its parent whatever its name; several are matched by name.
    """
    tensors = message.tensors
    if len(specs) == 1 and len(tensors) == 1:
        tensors = {specs[0].name: next(iter(tensors.values()))}
    symbols: dict[str, tuple[int, str]] = {}
    feeds: dict[str, Array] = {}
    for spec in specs:
        if spec.name not in tensors:
            raise RequestRefused(f"{where} {spec.name}", Words("nothing"), f"{spec.datatype} of shape {spec.shape}")
        array = tensors[spec.name]
        if not message.typed:
            array = cast(array, spec.datatype, f"{where} {spec.name}")
        check_tensor(spec, datatype_of(array), array.shape, f"{where} {spec.name} ", symbols)
        feeds[spec.name] = array
    return feeds


def check_tensor(
    spec: TensorSpec, datatype: str, shape: Sequence[int], where: str, symbols: dict[str, tuple[int, str]]
) -> None:
    """Raise RequestRefused unless data type and shape fit.

    `where` ends with what separates it from the field; `symbols` collects what free dimensions are bound to.
    """
    if datatype != spec.datatype:
        raise RequestRefused(f"{where}datatype", datatype, spec.datatype)
    fits = len(shape) == len(spec.dims)
    if not fits or any(isinstance(dim, int) and dim != size for dim, size in zip(spec.dims, shape, strict=True)):
        raise RequestRefused(f"{where}shape", list(shape), f"{spec.shape} (-1: any size)")
    for index, (dim, size) in enumerate(zip(spec.dims, shape, strict=True)):
        if isinstance(dim, str):
            bound, first = symbols.setdefault(dim, (size, where))
            if bound != size:
                raise RequestRefused(f"{where}shape[{index}]", size, f"{bound}, as in {first}shape")


def cast(array: Array, datatype: str, where: str) -> Array:
    """Convert numbers that came without a type; raise RequestRefused where a value would change its meaning."""
    target = DTYPES[datatype]
    if array.dtype == target:
        return array
    if datatype == "BYTES" or array.dtype == object:
        raise RequestRefused(f"{where} datatype", Words("text" if array.dtype == object else "numbers"), datatype)
    with np.errstate(all="ignore"):
        converted = array.astype(target)
        kept = np.isfinite(converted) == np.isfinite(array) if target.kind == "f" else converted == array
    if not kept.all():
        value = array[~kept].flat[0]
        raise RequestRefused(where, value.item(), f"values that {datatype} can hold")
    return converted
