"""ONNX files: read their signature, strip machine-specific metadata, name the dimensions, check."""

import re
from collections.abc import Iterable
from pathlib import Path

import onnx
from fairlead_contracts.datatypes import BY_ONNX
from fairlead_contracts.errors import ContractError
from fairlead_contracts.signature import Signature, TensorSignature
from google.protobuf.message import DecodeError

from .errors import ConversionFailed

_BATCH = "batch"
_SYMBOL = re.compile(r"\b[su]\d+\b")
"""torch's names of free dimensions."""
_MAX_BYTES = (1 << 31) - 1
_INVALID = (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError, RuntimeError)
_KINDS = {
    "sequence_type": "a sequence",
    "map_type": "a map",
    "optional_type": "an optional value",
    "sparse_tensor_type": "a sparse tensor",
}


def read_model(file: Path) -> onnx.ModelProto:
    """Read a model without its external data; raise ConversionFailed unless it is one."""
    size = file.stat().st_size
    if size > _MAX_BYTES:
        raise ConversionFailed(f"{file.name}: got {size} bytes, expected at most {_MAX_BYTES}; use external data")
    try:
        model = onnx.load(str(file), load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise ConversionFailed(f"{file.name}: is not an ONNX model: {error}") from None
    if not model.HasField("graph") or not model.graph.output:
        raise ConversionFailed(f"{file.name}: is not an ONNX model: it has no graph with outputs")
    return model


def read_signature(model: onnx.ModelProto) -> Signature:
    """Return the inputs and outputs of a model; raise ConversionFailed for types that cannot be served."""
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = (value for value in model.graph.input if value.name not in constants)
    try:
        return Signature(
            inputs=tuple(_describe(value, "input") for value in inputs),
            outputs=tuple(_describe(value, "output") for value in model.graph.output),
        )
    except ContractError as error:
        raise ConversionFailed(f"the ONNX model's inputs and outputs: {error}") from None


def finish(file: Path, opset: int | None = None, declared: Signature | None = None) -> Signature:
    """Strip and check a file and return its signature; external tensor data stays in its own file.

    With a declared signature, outputs without a shape get the declared one. Raises ConversionFailed if the file is
    invalid, if its opset is not the requested one, or if it does not have the declared inputs and outputs.
    """
    model = read_model(file)
    found = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), None)
    if opset is not None and found != opset:
        raise ConversionFailed(f"--opset: got a model of opset {found}, expected {opset}")
    _strip(model)
    _name_dimensions(model)
    if declared:
        _add_shapes(model, declared)
    signature = read_signature(model)
    if declared:
        check_declared(declared, signature)
    onnx.save(model, str(file))
    try:
        onnx.checker.check_model(str(file), full_check=True)
    except _INVALID as error:
        text = str(error).strip().splitlines()
        raise ConversionFailed(
            f"{file.name}: is not a valid ONNX model: {text[0][:300] if text else error!r}"
        ) from None
    return declared or signature


def check_declared(declared: Signature, found: Signature) -> None:
    """Raise ConversionFailed unless what signature.json declares is what the ONNX file has; sizes may be more exact."""
    for side in ("inputs", "outputs"):
        ours, theirs = getattr(declared, side), {tensor.name: tensor for tensor in getattr(found, side)}
        for tensor in ours:
            other = theirs.get(tensor.name)
            if other is None or len(ours) != len(theirs):
                names = ", ".join(theirs)
                raise ConversionFailed(
                    f"signature.json: {side}: got {', '.join(t.name for t in ours)}, expected {names}"
                )
            fits = len(tensor.shape) == len(other.shape) and all(
                -1 in pair or pair[0] == pair[1] for pair in zip(tensor.shape, other.shape, strict=True)
            )
            if tensor.dtype != other.dtype or not fits:
                got, expected = (f"{each.dtype} {list(each.shape)}" for each in (tensor, other))
                raise ConversionFailed(f"signature.json: {side}: {tensor.name}: got {got}, the model has {expected}")


def _describe(value: onnx.ValueInfoProto, side: str) -> TensorSignature:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        what = _KINDS.get(kind or "", "no type")
        remedy = "export the model without it"
        if kind == "sequence_type" and value.type.sequence_type.elem_type.HasField("map_type"):
            what, remedy = "a sequence of maps", "export it with skl2onnx's option zipmap: False"
        raise ConversionFailed(f"{side} {value.name}: got {what}, expected a tensor; {remedy}")
    tensor = value.type.tensor_type
    dtype = BY_ONNX.get(onnx_type(tensor.elem_type))
    if dtype is None:
        raise ConversionFailed(f"{side} {value.name}: got {onnx_type(tensor.elem_type)}, expected a type of V2")
    if not tensor.HasField("shape"):
        raise ConversionFailed(f"{side} {value.name}: got no shape, expected one; -1 or a name for a free dimension")
    sizes = (dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim)
    return TensorSignature(value.name, dtype, tuple(sizes))


def onnx_type(number: int) -> str:
    """Return ONNX Runtime's name of a data type."""
    if number == onnx.TensorProto.UNDEFINED or number not in onnx.TensorProto.DataType.values():
        return f"the unknown type {number}"
    return f"tensor({onnx.TensorProto.DataType.Name(number).lower()})"


def _add_shapes(model: onnx.ModelProto, declared: Signature) -> None:
    """Write the declared shapes into outputs that have none: exporters infer none behind some operators."""
    shapes = {tensor.name: tensor.shape for tensor in declared.outputs}
    for value in model.graph.output:
        tensor = value.type.tensor_type
        if value.type.HasField("tensor_type") and not tensor.HasField("shape") and value.name in shapes:
            for axis, size in enumerate(shapes[value.name]):
                name = {"dim_value": size} if size >= 0 else {"dim_param": f"{value.name}_{axis}" if axis else _BATCH}
                tensor.shape.dim.add(**name)


def _strip(model: onnx.ModelProto) -> None:
    """Remove the exporter's metadata: it contains paths and stack traces, and differs between equal exports."""
    graphs: Iterable[onnx.GraphProto | onnx.FunctionProto] = [model.graph, *model.functions]
    for graph in graphs:
        values = [*graph.value_info]
        if isinstance(graph, onnx.GraphProto):
            values += [*graph.input, *graph.output]
            _clear(*graph.initializer)
        _clear(graph, *graph.node, *values)
    _clear(model)


def _clear(*protos: object) -> None:
    for proto in protos:
        for field in ("metadata_props", "doc_string"):
            if field in proto.DESCRIPTOR.fields_by_name:  # type: ignore[attr-defined]
                proto.ClearField(field)  # type: ignore[attr-defined]


def _name_dimensions(model: onnx.ModelProto) -> None:
    """Rename the free dimensions, which torch calls s40 or similar: the first input's first dimension is the batch,
    every other one is called after the first input that has it (`tokens_1`)."""
    names: dict[str, str] = {}
    for value in model.graph.input:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            symbol = dim.dim_param
            if symbol and not names and axis == 0:
                names[symbol] = _BATCH
            elif _SYMBOL.fullmatch(symbol):
                names.setdefault(symbol, f"{value.name}_{axis}")
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in names:
                dim.dim_param = names[dim.dim_param]
            elif dim.dim_param:  # an expression, such as 2*s40
                dim.dim_param = _SYMBOL.sub(lambda match: names.get(match[0], match[0]), dim.dim_param)
