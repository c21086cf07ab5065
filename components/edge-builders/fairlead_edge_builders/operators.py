"""ONNX's operators by torch's: a function for each, of the node and its inputs as tensors.

Only what static shapes need is here; whether an import answers as ONNX Runtime does is measured for every model.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .layers import LAYERS
from .nodes import Node
from .shapes import SHAPES

Operator = Callable[[Node, Sequence[Any]], Any]


def _wrap(function: Callable[..., Any]) -> Operator:
    """Return the operator of a function that needs no attributes."""
    return lambda _node, inputs: function(*inputs)


def _divide(_node: Node, inputs: Sequence[Tensor]) -> Tensor:
    whole = not inputs[0].is_floating_point()
    return torch.div(inputs[0], inputs[1], rounding_mode="trunc" if whole else None)


def _clip(node: Node, inputs: Sequence[Any]) -> Tensor:
    low = node.get("min", node.read_number(1))
    high = node.get("max", node.read_number(2))
    if (low, high) == (0, 6):
        return functional.relu6(inputs[0])
    return torch.clamp(inputs[0], low, high)


def _hard_sigmoid(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    alpha, beta = node.get("alpha", 0.2), node.get("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return functional.hardsigmoid(inputs[0])
    return torch.clamp(inputs[0] * alpha + beta, 0, 1)


def _fold(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    def run(_node: Node, inputs: Sequence[Tensor]) -> Tensor:
        result = inputs[0]
        for other in inputs[1:]:
            result = function(result, other)
        return result

    return run


_PLAIN: dict[str, Callable[..., Any]] = {
    "Abs": torch.abs, "Add": torch.add, "And": torch.logical_and, "Ceil": torch.ceil, "Cos": torch.cos,
    "Equal": torch.eq, "Erf": torch.erf, "Exp": torch.exp, "Floor": torch.floor, "Greater": torch.gt,
    "GreaterOrEqual": torch.ge, "HardSwish": functional.hardswish, "Identity": torch.clone, "Less": torch.lt,
    "LessOrEqual": torch.le, "Log": torch.log, "MatMul": torch.matmul, "Mul": torch.mul, "Neg": torch.neg,
    "Not": torch.logical_not, "Or": torch.logical_or, "Pow": torch.pow,
    "PRelu": lambda x, slope: torch.where(x < 0, x * slope, x), "Reciprocal": torch.reciprocal,
    "Relu": torch.relu, "Sigmoid": torch.sigmoid, "Sin": torch.sin, "Softplus": functional.softplus,
    "Sqrt": torch.sqrt, "Sub": torch.sub, "Tanh": torch.tanh, "Where": torch.where,
}  # fmt: skip
"""Functions that need no attributes."""
OPERATORS: dict[str, Operator] = {
    **{kind: _wrap(function) for kind, function in _PLAIN.items()},
    "Clip": _clip,
    "Div": _divide,
    "Elu": lambda node, inputs: functional.elu(inputs[0], node.get("alpha", 1.0)),
    "Gelu": lambda node, inputs: functional.gelu(inputs[0], approximate=node.get("approximate", b"none").decode()),
    "HardSigmoid": _hard_sigmoid,
    "LeakyRelu": lambda node, inputs: functional.leaky_relu(inputs[0], node.get("alpha", 0.01)),
    "LogSoftmax": lambda node, inputs: torch.log_softmax(inputs[0], node.get("axis", -1)),
    "Max": _fold(torch.maximum),
    "Min": _fold(torch.minimum),
    "Softmax": lambda node, inputs: torch.softmax(inputs[0], node.get("axis", -1)),
    "Sum": _fold(torch.add),
    **LAYERS,
    **SHAPES,
}
"""By the operators' names in ONNX."""
