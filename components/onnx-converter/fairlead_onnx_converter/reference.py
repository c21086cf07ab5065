"""reference.json: the distribution of what the model sees and returns on a split of its dataset.

Quantiles are exact: a column at a time is sorted, which takes a third of the time of a sketch of the same values, and
the dataset is in memory anyway.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
from fairlead_contracts.binning import Binning
from fairlead_contracts.model_uri import MODEL_FILE
from fairlead_contracts.reference import (
    FILE,
    MAX_BINS,
    MAX_CATEGORIES,
    MAX_COLUMNS,
    MAX_SLOTS,
    MAX_TENSORS,
    MAX_TEXT,
    Categories,
    Numbers,
    Reference,
    TensorReference,
)
from fairlead_contracts.signature import Signature, TensorSignature
from fairlead_contracts.tensors import Array, is_float
from fairlead_datasets.errors import Unusable
from fairlead_datasets.outputs import join_batches
from fairlead_datasets.splits import Affine, Split, load_split
from numpy.typing import NDArray

from .errors import ConversionFailed

MAX_ROWS = 100_000
_SPLIT = "train"
_BATCH, _BATCH_VALUES = 256, 4096
_MAX_INTEGER = (1 << 53) - 1
_NUMBER_SLOTS, _CATEGORY_SLOTS = MAX_BINS + 3, MAX_CATEGORIES + 1


@dataclass
class _Tensor:
    """The columns of a tensor that are described, and their values, batch by batch."""

    signature: TensorSignature
    most: int
    """The most columns."""
    width: int | None = None
    indexes: Sequence[int] = (0,)
    parts: list[Array] = field(default_factory=list)

    def add(self, array: Array) -> None:
        """Keep the columns of a batch, or of a tensor without a fixed number of them some of its values."""
        if -1 in self.signature.shape[1:]:
            values = array.reshape(-1, 1)
            self.parts.append(values[:: max(1, len(values) // _BATCH_VALUES)].copy())
            return
        flat = array.reshape(len(array), -1)
        if self.width is None:
            self.width = flat.shape[1]
            self.indexes = choose_places(self.width, self.most)
        if flat.shape[1] != self.width:
            name = self.signature.name
            raise ConversionFailed(f"{name}: got {flat.shape[1]} values in a row, expected {self.width} as before")
        self.parts.append(flat[:, self.indexes])

    def has_values(self) -> bool:
        """Return whether there is anything to describe: a model may return rows of no values."""
        return any(part.size for part in self.parts)


def write_reference(folder: Path, data: Path, signature: Signature, split: str | None, affine: Affine) -> None:
    """Write the reference of the model in an artifact's folder; raise ConversionFailed.

    It describes a split of the dataset in `data`: by default `train`, if there is one that the model accepts.
    """
    try:
        if split is None and not (data / f"{_SPLIT}.npz").is_file():
            return
        loaded = load_split(data, split or _SPLIT, signature.inputs, affine)
        reference = build_reference(split or _SPLIT, loaded, signature, folder / MODEL_FILE)
    except (Unusable, ValueError) as error:  # ValueError: the contract's
        if split is not None:
            raise ConversionFailed(str(error)) from None
        sys.stderr.write(f"fairlead-onnx-converter: the model gets no {FILE}: {error}\n")
        return
    (folder / FILE).write_text(reference.model_dump_json(by_alias=True))


def build_reference(name: str, split: Split, signature: Signature, model: Path) -> Reference:
    """Return the reference of the first MAX_TENSORS inputs and outputs, which share MAX_SLOTS alike.

    Of a larger split, MAX_ROWS at equal distances are described; more would make no decision better.
    """
    split = _thin(split)
    slots = MAX_SLOTS // sum(min(len(side), MAX_TENSORS) for side in (signature.inputs, signature.outputs))
    inputs, outputs = (
        [_Tensor(tensor, _count_columns(tensor, slots)) for tensor in side[:MAX_TENSORS]]
        for side in (signature.inputs, signature.outputs)
    )
    for batch, results in _run(model, split, [tensor.signature.name for tensor in outputs]):
        for tensor, array in zip((*inputs, *outputs), (*_select(inputs, batch), *results), strict=True):
            tensor.add(array)
    return Reference(
        split=name,
        rows=len(split),
        inputs=tuple(_build_tensor(tensor) for tensor in inputs if tensor.has_values()),
        outputs=tuple(_build_tensor(tensor) for tensor in outputs if tensor.has_values()),
    )


def _thin(split: Split) -> Split:
    rows = choose_places(len(split), MAX_ROWS)
    if len(rows) == len(split):
        return split
    return replace(split, inputs={name: array[rows] for name, array in split.inputs.items()})


def _count_columns(tensor: TensorSignature, slots: int) -> int:
    """Return how many columns of a tensor fit into its share of the slots."""
    numbers = tensor.dtype in ("FP16", "BF16", "FP32", "FP64")
    return min(MAX_COLUMNS, max(1, slots // (_NUMBER_SLOTS if numbers else _CATEGORY_SLOTS)))


def _select(inputs: Sequence[_Tensor], batch: Mapping[str, Array]) -> list[Array]:
    return [batch[tensor.signature.name] for tensor in inputs]


def _run(model: Path, split: Split, outputs: list[str]) -> Iterator[tuple[dict[str, Array], list[Array]]]:
    """Yield batches of the split and what the model returns for them."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        for batch in split.batches(_BATCH):
            yield batch, session.run(outputs, batch)
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions have no other base
        raise ConversionFailed(f"ONNX Runtime {ort.__version__} cannot run the model: {str(error)[:300]}") from None


def choose_places(width: int, most: int) -> list[int]:
    """Return the places that are described: all, or some at equal distances."""
    count = min(width, most)
    return [place * width // count for place in range(count)]


def _build_tensor(tensor: _Tensor) -> TensorReference:
    values, signature = join_batches(tensor.signature.name, tensor.parts), tensor.signature
    columns = tuple(_build_column(index, values[:, place]) for place, index in enumerate(tensor.indexes))
    empty = TensorReference(name=signature.name, datatype=signature.dtype, width=tensor.width, columns=columns)
    return _with_counts(empty, values)


def _build_column(index: int, values: NDArray[Any]) -> Numbers | Categories:
    """Return a column's bins or categories, with counts of zero."""
    if values.dtype == object:
        texts = [text for text in _rank(values) if len(text) <= MAX_TEXT]
        return Categories(index=index, values=tuple(texts[:MAX_CATEGORIES]), counts=(0,) * len(texts[:MAX_CATEGORIES]))
    if not is_float(values.dtype):
        integers = [int(value) for value in np.unique(values)]
        if len(integers) <= MAX_CATEGORIES and all(abs(value) <= _MAX_INTEGER for value in integers):
            return Categories(index=index, values=tuple(integers), counts=(0,) * len(integers))
    numbers = values.astype(np.float64)
    ordered = np.sort(numbers[np.isfinite(numbers)])
    if not ordered.size:
        return Numbers(index=index)
    places = np.ceil(np.arange(1, MAX_BINS + 1) * ordered.size / MAX_BINS).astype(np.int64) - 1
    edges = tuple(float(edge) for edge in np.unique(ordered[places]))
    return Numbers(index=index, minimum=float(ordered[0]), edges=edges, counts=(0,) * len(edges))


def _rank(values: NDArray[Any]) -> list[str]:
    """Return the texts, the most frequent first."""
    counts: Mapping[str, int] = dict(zip(*np.unique(values.astype(str), return_counts=True), strict=True))
    return [str(text) for text in sorted(counts, key=lambda text: (-counts[text], text))]


def _with_counts(tensor: TensorReference, values: Array) -> TensorReference:
    binning = Binning(tensor)
    counts = binning.count(values).tolist()
    columns: list[Numbers | Categories] = []
    for column, size in zip(tensor.columns, binning.sizes, strict=True):
        own, counts = counts[:size], counts[size:]
        if isinstance(column, Numbers):
            columns.append(column.model_copy(update={"counts": tuple(own[1:-2]), "not_finite": own[-1]}))
        else:
            columns.append(column.model_copy(update={"counts": tuple(own[:-1]), "other": own[-1]}))
    return tensor.model_copy(update={"columns": tuple(columns)})
