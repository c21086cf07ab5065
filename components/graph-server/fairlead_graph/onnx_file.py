"""Inspect a model file before ONNX Runtime loads it: walk its protobuf fields without reading tensor data.

Field numbers are from onnx.proto3 (ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto); the wire format is
protobuf. Files that are not ONNX, are truncated or keep data outside their folder are rejected with a reason.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MODEL_IR_VERSION, _MODEL_GRAPH, _MODEL_OPSETS = 1, 7, 8
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_TENSOR_NAME, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 8, 13, 14
_ENTRY_KEY, _ENTRY_VALUE = 1, 2

# The length-delimited fields of each message that contain a nested message to inspect.
_NESTED = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_MAX_DEPTH = 100
_PICKLE_PROTOCOLS = {bytes((0x80, version)) for version in range(2, 6)}


class NotOnnx(Exception):
    """The file is not an ONNX model that may be loaded; the message contains the reason."""


@dataclass(frozen=True)
class OnnxFacts:
    """The metadata in the file."""

    ir_version: int
    opsets: dict[str, int]
    external: tuple[tuple[str, str], ...]
    """Tensors with external data: name and location."""

    def describe_opsets(self) -> str:
        """Return the opsets as text: `ai.onnx 18, com.microsoft 1`."""
        return ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in sorted(self.opsets.items()))


def inspect_onnx(path: Path, folder: Path) -> OnnxFacts:
    """Check a model file whose external data, if any, must be in `folder`; raise NotOnnx."""
    if path.stat().st_size == 0:
        raise NotOnnx("is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        _check_magic(content[:8])
        with memoryview(content) as data:
            facts = _read_model(data)
    for tensor, location in facts.external:
        _check_external(tensor, location, path.parent, folder)
    return facts


def _check_magic(head: bytes) -> None:
    if head[:2] in _PICKLE_PROTOCOLS:
        raise NotOnnx("is a Python pickle; pickles can run code and are never loaded, expected ONNX")
    if head[:4] == b"PK\x03\x04":
        raise NotOnnx("is a zip archive (torch.save writes those, with a pickle inside), expected ONNX")


def _read_model(data: memoryview) -> OnnxFacts:
    ir_version, opsets, graphs = 0, dict[str, int](), 0
    for number, value in _fields(data):
        if number == _MODEL_IR_VERSION and isinstance(value, int):
            ir_version = value
        elif number == _MODEL_GRAPH:
            graphs += 1
        elif number == _MODEL_OPSETS and isinstance(value, memoryview):
            entry = dict(_fields(value))
            domain, version = entry.get(_OPSET_DOMAIN, b""), entry.get(_OPSET_VERSION, 0)
            opsets[_text(domain)] = version if isinstance(version, int) else 0
    if not (ir_version and opsets and graphs == 1):
        raise NotOnnx("is not ONNX: no model with an IR version, an opset and a graph")
    return OnnxFacts(ir_version, opsets, tuple(_find_external(data, "model", 0)))


def _find_external(data: memoryview, message: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > _MAX_DEPTH:
        raise NotOnnx(f"is not ONNX: graphs nested more than {_MAX_DEPTH} levels deep")
    if message == "tensor":
        yield from _read_tensor(data)
        return
    nested = _NESTED[message]
    for number, value in _fields(data):
        if number in nested and isinstance(value, memoryview):
            yield from _find_external(value, nested[number], depth + 1)


def _read_tensor(data: memoryview) -> Iterator[tuple[str, str]]:
    name, location, external = "", None, False
    for number, value in _fields(data):
        if number == _TENSOR_NAME:
            name = _text(value)
        elif number == _TENSOR_LOCATION:
            external = external or value == 1
        elif number == _TENSOR_EXTERNAL and isinstance(value, memoryview):
            external = True
            entry = dict(_fields(value))
            if _text(entry.get(_ENTRY_KEY, b"")) == "location":
                location = _text(entry.get(_ENTRY_VALUE, b""))
    if external:
        yield name, location or ""


def _check_external(tensor: str, location: str, base: Path, folder: Path) -> None:
    pure = PurePosixPath(location)
    inside = bool(location) and not pure.is_absolute() and ".." not in pure.parts and "\\" not in location
    target = (base / location).resolve()
    if not inside or not target.is_relative_to(folder.resolve()):
        raise NotOnnx(f"tensor {tensor!r} has its data at {location!r}, expected a file in the model's folder")
    if not target.is_file():
        raise NotOnnx(f"tensor {tensor!r} has its data at {location!r}, which does not exist")


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and value of a message's fields; submessages, strings and data are views, not copies."""
    position, end = 0, len(data)
    while position < end:
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise NotOnnx("is not ONNX: a field number 0 in its protobuf")
        if wire == _VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire == _BYTES:
            length, position = _varint(data, position)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise NotOnnx(f"is not ONNX: wire type {wire} in its protobuf")
        if position + length > end:
            raise NotOnnx(f"is truncated or not ONNX: a field of {length} bytes where {end - position} are left")
        yield number, data[position : position + length]
        position += length


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise NotOnnx("is truncated or not ONNX: it ends within a field")
        byte = data[position]
        value, position = value | (byte & 0x7F) << shift, position + 1
        if byte < 0x80:
            return value, position
    raise NotOnnx("is not ONNX: a number of more than 64 bits in its protobuf")


def _text(value: int | bytes | memoryview) -> str:
    return bytes(value).decode("utf-8", "replace") if not isinstance(value, int) else ""
