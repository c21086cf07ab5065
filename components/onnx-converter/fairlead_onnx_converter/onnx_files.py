"""ONNX files: strip machine-specific metadata, name the dimensions, check."""

from pathlib import Path
from typing import TYPE_CHECKING

import onnx

if TYPE_CHECKING:
    from collections.abc import Iterable

_BATCH = "batch"


def finish(file: Path) -> None:
    """Strip and check the file; external tensor data stays in its own file."""
    model = onnx.load(str(file), load_external_data=False)
    _strip(model)
    _name_batch(model)
    onnx.save(model, str(file))
    onnx.checker.check_model(str(file), full_check=True)


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


def _name_batch(model: onnx.ModelProto) -> None:
    """Rename the free first dimension, which torch calls s40 or similar."""
    first = model.graph.input[0].type.tensor_type.shape.dim
    symbol = first[0].dim_param if first else ""
    if not symbol:
        return
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param == symbol:
                dim.dim_param = _BATCH
