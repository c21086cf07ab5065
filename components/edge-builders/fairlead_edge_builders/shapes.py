"""Operators that arrange values: shapes, slices, reductions, casts."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .nodes import Node

_TYPES = {1: torch.float32, 2: torch.uint8, 3: torch.int8, 6: torch.int32, 7: torch.int64, 9: torch.bool,
          10: torch.float16, 11: torch.float64}  # fmt: skip
"""By ONNX's numbers."""


def _flatten(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    axis = node.get("axis", 1)
    node.require(axis == 1, f"axis {axis}")
    return torch.flatten(inputs[0], 1)


def _reshape(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    sizes = node.find_list("shape", 1) or []
    kept = not node.get("allowzero", 0)
    return inputs[0].reshape([inputs[0].shape[axis] if size == 0 and kept else size for axis, size in enumerate(sizes)])


def _transpose(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    return inputs[0].permute(list(node.get("perm", reversed(range(inputs[0].ndim)))))


def _unsqueeze(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    axes = node.find_list("axes", 1) or []
    rank = inputs[0].ndim + len(axes)
    result = inputs[0]
    for axis in sorted(axis % rank for axis in axes):
        result = result.unsqueeze(axis)
    return result


def _squeeze(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    axes = node.find_list("axes", 1)
    return inputs[0].squeeze() if axes is None else inputs[0].squeeze(tuple(axes))


def _concatenate(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(inputs), node.get("axis"))


def _slice(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    starts, ends = node.find_list("starts", 1) or [], node.find_list("ends", 2) or []
    axes = node.find_list("axes", 3) or list(range(len(starts)))
    steps = node.find_list("steps", 4) or [1] * len(starts)
    node.require(all(step > 0 for step in steps), "a negative step")
    chosen = [slice(None)] * inputs[0].ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        chosen[axis % inputs[0].ndim] = slice(start, end, step)
    return inputs[0][tuple(chosen)]


def _split(node: Node, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    axis = node.get("axis", 0)
    sizes = node.find_list("split", 1)
    length = -(-inputs[0].shape[axis] // len(node.outputs))
    return torch.split(inputs[0], sizes or length, axis)


def _gather(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    values, indices = inputs
    axis = node.get("axis", 0) % values.ndim
    if node.has(1) and node.inputs[1] in node.constants and indices.ndim == 0:
        return values.select(axis, int(node.read_constant(1)))
    if axis == 0 and values.ndim == 2:
        return functional.embedding(indices, values)
    shape = (*values.shape[:axis], *indices.shape, *values.shape[axis + 1 :])
    return values.index_select(axis, indices.reshape(-1)).reshape(shape)


def _cast(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    node.require(node.get("to") in _TYPES, f"data type {node.get('to')}")
    return inputs[0].to(_TYPES[node.get("to")])


def _expand(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    sizes = node.find_list("shape", 1) or []
    return inputs[0].expand(np.broadcast_shapes(tuple(inputs[0].shape), tuple(sizes)))


def _pad(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    node.require(node.get("mode", b"constant") == b"constant", "padding with other values than a constant")
    pads = node.find_list("pads", 1) or []
    node.require(not node.has(3) and min(pads, default=0) >= 0, "padding of some axes, or by less than 0")
    axes = len(pads) // 2
    sizes = [size for axis in reversed(range(axes)) for size in (pads[axis], pads[axes + axis])]
    return functional.pad(inputs[0], sizes, value=node.read_number(2) or 0.0)


def _reduce(function: Callable[..., Any]) -> Callable[[Node, Sequence[Tensor]], Tensor]:
    def run(node: Node, inputs: Sequence[Tensor]) -> Tensor:
        axes = node.find_list("axes", 1)
        if not axes and node.get("noop_with_empty_axes", 0):
            return inputs[0]
        chosen = axes or list(range(inputs[0].ndim))
        result: Tensor = function(inputs[0], tuple(chosen), keepdim=bool(node.get("keepdims", 1)))
        return result

    return run


SHAPES = {
    "Cast": _cast,
    "Concat": _concatenate,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Pad": _pad,
    "ReduceMax": _reduce(torch.amax),
    "ReduceMean": _reduce(torch.mean),
    "ReduceMin": _reduce(torch.amin),
    "ReduceSum": _reduce(torch.sum),
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
