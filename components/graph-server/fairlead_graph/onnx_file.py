"""Inspect a model file with the `onnx` library before ONNX Runtime loads it.

Files that are not ONNX, are truncated or keep data outside their folder are rejected with a reason.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import onnx
from google.protobuf.message import DecodeError, Message
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto

from .class_maps import find_class_maps
from .tensors import Labels

_PICKLE_PROTOCOLS = {bytes((0x80, version)) for version in range(2, 6)}
_MAX_DEPTH, _MAX_MESSAGES = 64, 1_000_000
_MAX_BYTES = 2**31 - 1
"""Protobuf's limit; larger models keep their tensors in external data."""


class NotOnnx(Exception):
    """The file is not an ONNX model that may be loaded; the message contains the reason."""


@dataclass(frozen=True)
class OnnxFacts:
    """The metadata in the file."""

    ir_version: int
    opsets: dict[str, int]
    shapeless: frozenset[str] = frozenset()
    """The inputs and outputs without a shape, which may have any number of dimensions."""
    class_maps: Mapping[str, Labels] = field(default_factory=dict)
    """The outputs that ZipMap makes, with their classes."""

    def describe_opsets(self) -> str:
        """Return the opsets as text: `ai.onnx 18, com.microsoft 1`."""
        return ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in sorted(self.opsets.items()))


def inspect_onnx(path: Path, folder: Path) -> OnnxFacts:
    """Check a model file whose external data, if any, must be in `folder`; raise NotOnnx."""
    size = path.stat().st_size
    if not 0 < size <= _MAX_BYTES:
        raise NotOnnx("is empty" if not size else f"has {size} bytes, expected at most {_MAX_BYTES}")
    content = path.read_bytes()
    _check_magic(content[:8])
    model = ModelProto()
    try:
        model.ParseFromString(content)
    except (DecodeError, ValueError) as error:
        raise NotOnnx(f"is truncated or not ONNX: {error}") from None
    del content
    if not (model.ir_version and model.opset_import and model.HasField("graph")):
        raise NotOnnx("is not ONNX: no model with an IR version, an opset and a graph")
    try:
        for tensor in _find_tensors(model):
            _check_external(tensor, path.parent, folder)
        opsets = {entry.domain: entry.version for entry in model.opset_import}
        ports = (*model.graph.input, *model.graph.output)
        shapeless = frozenset(port.name for port in ports if not port.type.tensor_type.HasField("shape"))
        class_maps = find_class_maps(model.graph)
        return OnnxFacts(model.ir_version, opsets, shapeless - class_maps.keys(), class_maps)
    except UnicodeDecodeError:
        raise NotOnnx("is not ONNX: a name in it is not UTF-8") from None


def _check_magic(head: bytes) -> None:
    if head[:2] in _PICKLE_PROTOCOLS:
        raise NotOnnx("is a Python pickle; pickles can run code and are never loaded, expected ONNX")
    if head[:4] == b"PK\x03\x04":
        raise NotOnnx("is a zip archive (torch.save writes those, with a pickle inside), expected ONNX")


def _find_tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Yield all tensors of a model, whatever message holds them."""
    stack: list[tuple[Message, int]] = [(model, 0)]
    seen = 0
    while stack:
        seen += 1
        if seen > _MAX_MESSAGES:
            raise NotOnnx(f"has more than {_MAX_MESSAGES} nodes, attributes and tensors")
        message, depth = stack.pop()
        if depth > _MAX_DEPTH:
            raise NotOnnx(f"is not ONNX: messages nested more than {_MAX_DEPTH} levels deep")
        if isinstance(message, TensorProto):
            yield message
            continue
        stack.extend((child, depth + 1) for child in _children(message))


def _children(message: Message) -> Iterator[Message]:
    """Yield the messages in a message that can hold tensors."""
    for part in message.DESCRIPTOR.fields:
        if part.message_type is None or part.message_type.name not in _HOLDERS:
            continue
        value = getattr(message, part.name)
        if part.is_repeated:
            yield from value
        elif message.HasField(part.name):
            yield value


_HOLDERS = {
    kind.DESCRIPTOR.name
    for kind in (AttributeProto, FunctionProto, GraphProto, NodeProto, TensorProto, onnx.SparseTensorProto,
                 onnx.TrainingInfoProto)
}  # fmt: skip


def _check_external(tensor: TensorProto, base: Path, folder: Path) -> None:
    if tensor.data_location != TensorProto.EXTERNAL and not tensor.external_data:
        return
    locations = [entry.value for entry in tensor.external_data if entry.key == "location"] or [""]
    for location in locations:
        pure = PurePosixPath(location)
        inside = bool(location) and not pure.is_absolute() and ".." not in pure.parts and "\\" not in location
        expected = f"tensor {tensor.name!r} has its data at {location!r}, expected a file in the model's folder"
        if not inside or "\0" in location:
            raise NotOnnx(expected)
        target = (base / location).resolve()
        if not target.is_relative_to(folder.resolve()):
            raise NotOnnx(expected)
        if not target.is_file():
            raise NotOnnx(f"tensor {tensor.name!r} has its data at {location!r}, which does not exist")
