"""Classifiers as torch programs, and the examples that they are trained and measured on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from fairlead_contracts.signature import Signature
from fairlead_datasets.errors import Unusable, first_line
from fairlead_datasets.splits import Affine, load_split
from torch import Tensor, nn

_BATCH = 256


@dataclass(frozen=True)
class Examples:
    """A split: the model's inputs, in order, and a class for each row."""

    inputs: Sequence[Tensor]
    labels: Tensor


@dataclass(frozen=True)
class Figures:
    """What a model is worth and what it costs."""

    accuracy: float
    """On the held-out split."""
    parameters: int
    nonzero_parameters: int
    bytes: int
    """The size of model.pt2."""


def count_classes(signature: Signature) -> int:
    """Return the number of classes, for which the first output has a score each; raise Unusable if it has not."""
    first = signature.outputs[0]
    if len(first.shape) != 2 or first.shape[1] < 2 or first.dtype not in ("FP16", "FP32", "FP64"):
        got = f"{first.dtype} of shape {list(first.shape)}"
        raise Unusable(f"model: output {first.name}: got {got}, expected a score for each class: FP32 [-1, classes]")
    return int(first.shape[1])


def load_examples(folder: Path, name: str, signature: Signature, affine: Affine) -> Examples:
    """Load a split of a dataset with labels; raise Unusable."""
    classes = count_classes(signature)
    split = load_split(folder, name, signature.inputs, affine)
    labels = split.labels
    if labels is None or labels.ndim != 1 or labels.dtype.kind not in "iu":
        got = "no labels" if labels is None else f"{labels.dtype} of shape {list(labels.shape)}"
        raise Unusable(f"{name}.npz: y: got {got}, expected an integer for each row")
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise Unusable(f"{name}.npz: y: got {wrong[0]}, expected classes from 0 to {classes - 1}, as the model has")
    inputs = [torch.from_numpy(split.inputs[tensor.name]) for tensor in signature.inputs]
    return Examples(inputs, torch.from_numpy(labels.astype("int64")))


def run(network: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    """Return the scores for a batch: the network's first output."""
    result = network(*inputs)
    scores: Tensor = result[0] if isinstance(result, tuple | list) else result
    return scores.float()


def predict(network: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    """Return the scores for all rows, without gradients; raise Unusable if the network fails on them."""
    parts = zip(*(torch.split(tensor, _BATCH) for tensor in inputs), strict=True)
    try:
        with torch.no_grad():
            return torch.cat([run(network, part) for part in parts])
    except (RuntimeError, AssertionError) as error:
        raise Unusable(f"the torch program failed on the split: {first_line(error)}") from None


def measure(network: nn.Module, examples: Examples, file: Path) -> Figures:
    """Measure a network that `file` contains."""
    right = predict(network, examples.inputs).argmax(dim=1) == examples.labels
    parameters = list(network.parameters())
    return Figures(
        accuracy=round(int(right.sum()) / len(right), 6),
        parameters=sum(parameter.numel() for parameter in parameters),
        nonzero_parameters=sum(int(parameter.count_nonzero()) for parameter in parameters),
        bytes=file.stat().st_size,
    )
