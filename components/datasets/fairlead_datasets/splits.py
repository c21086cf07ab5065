"""One split of a dataset: the model's inputs and the labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fairlead_contracts.errors import ContractError
from fairlead_contracts.signature import TensorSignature
from fairlead_contracts.tensors import DTYPES, cast
from numpy.typing import NDArray

from .archives import read_arrays
from .errors import Unusable

_LABELS = "y"
_FIRST_INPUT = "x"
# ONNX Runtime's Python API accepts no array of BF16.
_DTYPES = {name: dtype for name, dtype in DTYPES.items() if name != "BF16"}


@dataclass(frozen=True)
class Affine:
    """The model's preprocessing: value * scale + offset."""

    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class Split:
    """Inputs by name, each with a row per example, and a label per example if the dataset has labels."""

    inputs: Mapping[str, NDArray[Any]]
    labels: NDArray[Any] | None

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(next(iter(self.inputs.values())))

    def batches(self, size: int) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield batches of up to `size` examples; the first has one example, which reveals a fixed batch size."""
        starts = [0, *range(1, len(self), size)]
        for start, end in zip(starts, [*starts[1:], len(self)], strict=True):
            yield {name: array[start:end] for name, array in self.inputs.items()}


def load_split(folder: Path, name: str, signature: Sequence[TensorSignature], affine: Affine) -> Split:
    """Load `<name>.npz`: arrays named like the model's inputs (or x for a single input), and labels y."""
    file = folder / f"{name}.npz"
    if not file.is_file():
        found = ", ".join(sorted(path.name for path in folder.glob("*.npz"))) or "no .npz file"
        raise Unusable(f"dataset: got {found}, expected {file.name}")
    arrays = read_arrays(file)
    inputs = {tensor.name: _pick(arrays, tensor, len(signature), affine, file.name) for tensor in signature}
    labels = None if _LABELS in inputs else arrays.get(_LABELS)
    named = (*inputs.items(), *(((_LABELS, labels),) if labels is not None else ()))
    if labels is not None and not labels.ndim:
        raise Unusable(f"{file.name}: {_LABELS} has shape [], expected a row per example")
    counts = {key: len(array) for key, array in named}
    if len(set(counts.values())) != 1 or not min(counts.values()):
        raise Unusable(f"{file.name}: got rows {counts}, expected equal numbers of rows, at least one")
    return Split(inputs, labels)


def _pick(
    arrays: Mapping[str, NDArray[Any]], tensor: TensorSignature, count: int, affine: Affine, file: str
) -> NDArray[Any]:
    name = tensor.name
    key = name if name in arrays or count > 1 else _FIRST_INPUT
    if key not in arrays:
        raise Unusable(f"{file}: got arrays {', '.join(arrays)}, expected {name}" + " or x" * (count == 1))
    if tensor.dtype not in _DTYPES:
        raise Unusable(f"input {name}: got {tensor.dtype}, expected one of {', '.join(_DTYPES)}")
    array, rest = arrays[key], tensor.shape[1:]
    if not array.ndim:
        raise Unusable(f"{file}: {key} has shape [], expected a row per example")
    if array.ndim == 1 and rest == (1,):
        array = array[:, None]  # a column of a table
    shape = list(array.shape[1:])
    if len(shape) != len(rest) or any(size not in (-1, actual) for size, actual in zip(rest, shape, strict=True)):
        raise Unusable(f"{file}: {key} has shape {[-1, *shape]}, expected {list(tensor.shape)}")
    return _convert(array, tensor.dtype, affine, f"{file}: {key}")


def _convert(array: NDArray[Any], dtype: str, affine: Affine, at: str) -> NDArray[Any]:
    """Return an array in the input's data type; raise Unusable if a value would change."""
    text = array.dtype.kind == "U"
    if text != (dtype == "BYTES") or array.dtype.kind not in "biufU":
        raise Unusable(f"{at} has data type {array.dtype}, expected {'texts (U)' if dtype == 'BYTES' else dtype}")
    if affine != Affine():
        if text:
            raise Unusable(f"{at}: got texts, expected numbers for scale {affine.scale:g}")
        array = array * affine.scale + affine.offset
    if text:
        return array.astype(object)
    try:
        return np.ascontiguousarray(cast(array, dtype, at))
    except ContractError as error:
        raise Unusable(str(error)) from None
