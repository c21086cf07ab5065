"""ONNX models for tests, written field by field, so that components need no `onnx` package.

Field numbers are those of onnx.proto3.
"""

from collections.abc import Mapping, Sequence

import numpy as np

DTYPES = {"FP32": 1, "UINT8": 2, "INT8": 3, "INT32": 6, "INT64": 7, "BYTES": 8, "BOOL": 9, "FP16": 10, "FP64": 11,
          "BF16": 16}  # fmt: skip
_NUMPY = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float16": 10, "float64": 11}

Port = tuple[str, str, Sequence[int | str]]
"""Name, V2 data type, dimensions."""


def number(field: int, value: int) -> bytes:
    """Encode an integer field."""
    return _varint(field << 3) + _varint(value)


def block(field: int, content: bytes | str) -> bytes:
    """Encode a length-delimited field: text, bytes or a message."""
    data = content.encode() if isinstance(content, str) else content
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def tensor(name: str, array: np.ndarray) -> bytes:
    """Encode an initializer."""
    dims = b"".join(number(1, size) for size in array.shape)
    return dims + number(2, _NUMPY[array.dtype.name]) + block(8, name) + block(9, array.tobytes())


def external_tensor(name: str, array: np.ndarray, location: str) -> bytes:
    """Encode an initializer whose data is in another file."""
    dims = b"".join(number(1, size) for size in array.shape)
    entry = block(13, block(1, "location") + block(2, location))
    return dims + number(2, _NUMPY[array.dtype.name]) + block(8, name) + entry + number(14, 1)


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: int) -> bytes:
    """Encode a node; attributes are integers."""
    ports = b"".join(block(1, name) for name in inputs) + b"".join(block(2, name) for name in outputs)
    values = b"".join(block(5, block(1, key) + number(3, value) + number(20, 2)) for key, value in attributes.items())
    return ports + block(4, operator) + values


def model(
    nodes: Sequence[bytes],
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    tensors: Sequence[bytes] = (),
    opset: int = 17,
) -> bytes:
    """Encode a model."""
    graph = b"".join(block(1, entry) for entry in nodes) + block(2, "graph")
    graph += b"".join(block(5, entry) for entry in tensors)
    graph += b"".join(block(11, _port(port)) for port in inputs) + b"".join(block(12, _port(port)) for port in outputs)
    return number(1, 8) + block(7, graph) + block(8, number(2, opset))


def scale(factor: float, shape: Sequence[int | str], datatype: str = "FP32", opset: int = 17) -> bytes:
    """Return a model that multiplies `x` by a factor and returns `scaled`."""
    dtype = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64}[datatype]
    constant = tensor("factor", np.array(factor, dtype))
    return model(
        [node("Mul", ["x", "factor"], ["scaled"])],
        [("x", datatype, shape)],
        [("scaled", datatype, shape)],
        [constant],
        opset,
    )


def crashing(value: int, shape: Sequence[int | str]) -> bytes:
    """Return a model that ends its process where `x` has a value: it divides the smallest integer by -1."""
    nodes = [
        node("Cast", ["x"], ["whole"], to=_NUMPY["int64"]),
        node("Equal", ["whole", "value"], ["found"]),
        node("Where", ["found", "least", "whole"], ["dividend"]),
        node("Div", ["dividend", "divisor"], ["quotient"]),
        node("Cast", ["quotient"], ["scaled"], to=_NUMPY["float32"]),
    ]
    numbers = {"value": value, "least": -(1 << 63), "divisor": -1}
    tensors = [tensor(name, np.array(number_, np.int64)) for name, number_ in numbers.items()]
    return model(nodes, [("x", "FP32", shape)], [("scaled", "FP32", shape)], tensors)


def identity(datatype: str, shape: Sequence[int | str]) -> bytes:
    """Return a model that answers with its input: `x` becomes `y`."""
    return model([node("Identity", ["x"], ["y"])], [("x", datatype, shape)], [("y", datatype, shape)])


def with_sequence(model_: bytes, tensor_name: str) -> bytes:
    """Add an output, a sequence that has a tensor of FP32 of a model's graph."""
    kind = block(2, block(4, block(1, block(1, number(1, DTYPES["FP32"])))))
    return model_ + block(
        7, block(1, node("SequenceConstruct", [tensor_name], ["list"])) + block(12, block(1, "list") + kind)
    )


def einsum(equation: str) -> bytes:
    """Return a model of one Einsum of a matrix with three columns."""
    attribute = block(1, "equation") + block(4, equation) + number(20, 3)
    node_ = node("Einsum", ["x"], ["y"]) + block(5, attribute)
    return model([node_], [("x", "FP32", ["n", 3])], [("y", "FP32", ["n", 3])])


def linear(weights: Mapping[str, np.ndarray], rows: int | str = "batch") -> bytes:
    """Return a model `logits = input @ w + b`."""
    size, classes = weights["w"].shape
    return model(
        [node("MatMul", ["input", "w"], ["product"]), node("Add", ["product", "b"], ["logits"])],
        [("input", "FP32", [rows, size])],
        [("logits", "FP32", [rows, classes])],
        [tensor(name, array.astype(np.float32)) for name, array in weights.items()],
    )


def _port(port: Port) -> bytes:
    name, datatype, dims = port
    shape = b"".join(block(1, number(1, dim) if isinstance(dim, int) else block(2, dim)) for dim in dims)
    return block(1, name) + block(2, block(1, number(1, DTYPES[datatype]) + block(2, shape)))


def _varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
