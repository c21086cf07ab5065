"""Hostile models: seeded mutations of small real models, and some made by hand."""

import random
from collections.abc import Iterator

import numpy as np

from tests.support import onnx_models as onnx

_LEAST = np.array(-(2**63), np.int64)
OUTSIDE = "external data at"
"""What the names of the models begin with whose weights are not in their folder."""


def build_models(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield models by name: those made by hand, then mutations until there are `count`."""
    made = list(_handmade())
    yield from made
    originals = list(_originals())
    for number in range(count - len(made)):
        rng = random.Random(seed * 1_000_003 + number)
        name, content = rng.choice(originals)
        yield f"{name} mutated {number}", _mutate(content, rng)


def _originals() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(7)
    yield "scale", onnx.scale(2.0, ["n", 3])
    yield "linear", onnx.linear({"w": rng.normal(size=(3, 2)).astype(np.float32), "b": np.zeros(2, np.float32)})
    yield "integers", onnx.scale(2, ["n", 3], "INT64")
    yield "external", _external("w.bin")


def _handmade() -> Iterator[tuple[str, bytes]]:
    least, minus = onnx.tensor("least", _LEAST), onnx.tensor("minus", np.array(-1, np.int64))
    ports = [("x", "INT64", ["n", 3])], [("y", "INT64", ["n", 3])]
    folded = [onnx.node("Div", ["least", "minus"], ["c"]), onnx.node("Add", ["x", "c"], ["y"])]
    yield "division that is folded", onnx.model(folded, *ports, [least, minus])
    always = [
        onnx.node("Sub", ["x", "x"], ["zero"]), onnx.node("Add", ["zero", "least"], ["a"]),
        onnx.node("Add", ["zero", "minus"], ["b"]), onnx.node("Div", ["a", "b"], ["y"]),
    ]  # fmt: skip
    yield "division that ends the process", onnx.model(always, *ports, [least, minus])
    for equation in ("....i->->zz", "i" * 2000 + "->", "->", "ij,jk"):
        yield f"einsum {equation[:12]}", onnx.einsum(equation)
    for location in (
        # long enough for the tensor, wherever the model's folder lies: without a check the model would be served
        "/etc/passwd",
        "../" * 32 + "etc/passwd",
        "..\\..\\secret",
        "/proc/self/mem",
        "/dev/zero",
        "",
        ".",
        "w.bin\x00/x",
    ):
        yield f"{OUTSIDE} {location!r}", _external(location)
        yield f"{OUTSIDE} {location!r}, overlong tag", _external(location, overlong=True)
    huge = onnx.tensor("shape", np.array([2**40], np.int64))
    fill = [onnx.node("ConstantOfShape", ["shape"], ["c"]), onnx.node("Add", ["x", "c"], ["y"])]
    yield "a terabyte of zeros", onnx.model(fill, [("x", "FP32", ["n"])], [("y", "FP32", ["n"])], [huge])
    yield (
        "millions of empty nodes",
        onnx.number(1, 8) + onnx.block(7, onnx.block(1, b"") * 1_500_000) + onnx.block(8, onnx.number(2, 17)),
    )
    nested = b""
    for _ in range(5000):
        nested = onnx.block(1, onnx.block(5, onnx.block(6, nested)))
    yield "deep graphs", onnx.number(1, 8) + onnx.block(7, nested) + onnx.block(8, onnx.number(2, 17))
    yield "a name that is not UTF-8", onnx.scale(2.0, ["n", 3]).replace(b"scaled", b"sc\xff\xfeed")
    for content in (b"", b"\x42\x01\x0a", b"\x80\x04.", b"PK\x03\x04", b"\x00" * 64, b"{}", b"\xff" * 64):
        yield f"bytes {content[:4]!r}", content


def _external(location: str, overlong: bool = False) -> bytes:
    weights = np.ones((3, 2), np.float32)
    tensor = onnx.external_tensor("w", weights, location)
    if overlong:
        entry = onnx.block(13, onnx.block(1, "location") + onnx.block(2, location))
        tensor = tensor.replace(entry, bytes((entry[0] | 0x80, 0x80, 0x00)) + entry[1:])
    return onnx.model(
        [onnx.node("MatMul", ["x", "w"], ["y"])], [("x", "FP32", ["n", 3])], [("y", "FP32", ["n", 2])], [tensor]
    )


def _mutate(content: bytes, rng: random.Random) -> bytes:
    """Return the content with some bytes changed, removed, repeated, or cut off."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if not data:
            break
        position, length = rng.randrange(len(data)), rng.randint(1, 16)
        action = rng.randrange(5)
        if action == 0:
            data[position] = rng.randrange(256)
        elif action == 1:
            data[position] ^= 1 << rng.randrange(8)
        elif action == 2:
            del data[position : position + length]
        elif action == 3:
            data[position:position] = data[position : position + length] * rng.randint(1, 50)
        else:
            del data[position:]
    return bytes(data)
