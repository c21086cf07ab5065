"""Operators with weights and windows: convolutions, pooling, normalization, matrix products."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .nodes import Node

_CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_MAX_POOLS = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_AVERAGE_POOLS = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


def _read_pads(node: Node, axes: int) -> list[int]:
    """Return the padding before and after each axis: all before, then all after, as ONNX has them."""
    node.require(node.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID"), "auto_pad")
    return [int(size) for size in node.get("pads", [0] * 2 * axes)]


def _pad(values: Tensor, pads: Sequence[int], axes: int, value: float) -> tuple[Tensor, list[int]]:
    """Return the values and the padding that is left to do, which is the same at both ends."""
    before, after = list(pads[:axes]), list(pads[axes:])
    if before == after:
        return values, before
    # torch names the last axis first
    sizes = [size for axis in reversed(range(axes)) for size in (before[axis], after[axis])]
    return functional.pad(values, sizes, value=value), [0] * axes


def _convolve(node: Node, inputs: Sequence[Any]) -> Tensor:
    axes = inputs[1].ndim - 2
    node.require(axes in _CONVOLUTIONS, f"a convolution along {axes} axes")
    values, padding = _pad(inputs[0], _read_pads(node, axes), axes, 0.0)
    return _CONVOLUTIONS[axes](
        values,
        inputs[1],
        inputs[2] if node.has(2) else None,
        stride=list(node.get("strides", [1] * axes)),
        padding=padding,
        dilation=list(node.get("dilations", [1] * axes)),
        groups=node.get("group", 1),
    )


def _pool_largest(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    kernel = list(node.get("kernel_shape"))
    axes = len(kernel)
    node.require(len(node.outputs) == 1, "an output of indices")
    values, padding = _pad(inputs[0], _read_pads(node, axes), axes, float("-inf"))
    result: Tensor = _MAX_POOLS[axes](
        values,
        kernel,
        stride=list(node.get("strides", [1] * axes)),
        padding=padding,
        dilation=list(node.get("dilations", [1] * axes)),
        ceil_mode=bool(node.get("ceil_mode", 0)),
    )
    return result


def _pool_average(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    kernel = list(node.get("kernel_shape"))
    axes = len(kernel)
    pads = _read_pads(node, axes)
    counted = bool(node.get("count_include_pad", 0))
    node.require(counted or pads[:axes] == pads[axes:], "padding that differs at both ends and is not counted")
    node.require(all(size == 1 for size in node.get("dilations", ())), "dilation")
    values, padding = _pad(inputs[0], pads, axes, 0.0)
    result: Tensor = _AVERAGE_POOLS[axes](
        values,
        kernel,
        stride=list(node.get("strides", [1] * axes)),
        padding=padding,
        ceil_mode=bool(node.get("ceil_mode", 0)),
        count_include_pad=counted,
    )
    return result


def _pool_all(function: Callable[..., Tensor]) -> Callable[[Node, Sequence[Tensor]], Tensor]:
    return lambda _node, inputs: function(inputs[0], tuple(range(2, inputs[0].ndim)), keepdim=True)


def _normalize_batch(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    values, scale, bias, mean, variance = inputs
    return functional.batch_norm(values, mean, variance, scale, bias, eps=node.get("epsilon", 1e-5))


def _normalize_layer(node: Node, inputs: Sequence[Any]) -> Tensor:
    axis = node.get("axis", -1) % inputs[0].ndim
    shape = list(inputs[0].shape[axis:])
    bias = inputs[2] if node.has(2) else None
    return functional.layer_norm(inputs[0], shape, inputs[1], bias, node.get("epsilon", 1e-5))


def _multiply(node: Node, inputs: Sequence[Any]) -> Tensor:
    """Return Gemm: alpha * A' * B' + beta * C."""
    first, second = inputs[0], inputs[1]
    bias = inputs[2] if node.has(2) else None
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    if node.get("transA", 0):
        first = first.T
    if not node.get("transB", 0):
        second = second.T
    if alpha == 1.0 and (bias is None or (beta == 1.0 and bias.ndim == 1)):
        result: Tensor = functional.linear(first, second, bias)
        return result
    result = functional.linear(first, second) * alpha
    return result if bias is None else result + bias * beta


LAYERS = {
    "AveragePool": _pool_average,
    "BatchNormalization": _normalize_batch,
    "Conv": _convolve,
    "Gemm": _multiply,
    "GlobalAveragePool": _pool_all(torch.mean),
    "GlobalMaxPool": _pool_all(torch.amax),
    "LayerNormalization": _normalize_layer,
    "MaxPool": _pool_largest,
}
