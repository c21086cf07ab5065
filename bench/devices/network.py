"""MobileNetV2's architecture with random weights, as ONNX: what devices run, at its real size and cost.

M. Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018. Run as a script in an environment
with `onnx`: network.py FILE
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE, CLASSES = 224, 1000
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, blocks, and the stride of the first block: table 2 of the paper."""


class Builder:
    """The nodes and weights of a network; each method returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(1)

    def add(self, operator: str, inputs: list[str], **attributes: object) -> str:
        """Add a node."""
        name = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def weight(self, *shape: int) -> str:
        """Add random weights that keep the size of values."""
        values = self._random.normal(0, (2 / np.prod(shape[1:] or shape)) ** 0.5, shape).astype(np.float32)
        self.weights.append(numpy_helper.from_array(values, f"w{len(self.weights)}"))
        return self.weights[-1].name

    def convolve(self, value: str, out: int, into: int, size: int = 1, stride: int = 1, group: int = 1) -> str:
        """Add a convolution with a bias."""
        weights, bias = self.weight(out, into // group, size, size), self.weight(out)
        pads = [size // 2] * 4
        return self.add("Conv", [value, weights, bias], kernel_shape=[size, size], strides=[stride] * 2, pads=pads,
                        group=group)  # fmt: skip

    def activate(self, value: str) -> str:
        """Add a ReLU6."""
        return self.add("Clip", [value, "zero", "six"])


def build() -> onnx.ModelProto:
    """Return the network."""
    builder = Builder()
    builder.weights += [numpy_helper.from_array(np.float32(value), name) for name, value in (("zero", 0), ("six", 6))]
    value, channels = builder.activate(builder.convolve("x", 32, 3, 3, 2)), 32
    for expansion, out, blocks, stride in _STAGES:
        for block in range(blocks):
            value = _add_block(builder, value, channels, expansion, out, stride if block == 0 else 1)
            channels = out
    value = builder.activate(builder.convolve(value, 1280, channels))
    value = builder.add("Flatten", [builder.add("GlobalAveragePool", [value])])
    builder.nodes.append(
        helper.make_node("Gemm", [value, builder.weight(1280, CLASSES), builder.weight(CLASSES)], ["y"])
    )
    graph = helper.make_graph(
        builder.nodes, "mobilenet-v2",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", CLASSES])], builder.weights,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _add_block(builder: Builder, value: str, channels: int, expansion: int, out: int, stride: int) -> str:
    """Add an inverted residual."""
    wide, found = channels * expansion, value
    if expansion > 1:
        found = builder.activate(builder.convolve(found, wide, channels))
    found = builder.activate(builder.convolve(found, wide, wide, 3, stride, group=wide))
    found = builder.convolve(found, out, wide)
    return builder.add("Add", [value, found]) if stride == 1 and channels == out else found


if __name__ == "__main__":
    onnx.save(build(), Path(sys.argv[1]))
