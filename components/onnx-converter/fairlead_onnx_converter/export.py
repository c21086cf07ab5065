"""Export a torch program to an ONNX file, strip machine-specific metadata, and check it."""

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from .errors import ConversionFailed
from .programs import Program

if TYPE_CHECKING:
    from collections.abc import Iterable

_BATCH = "batch"


def export_onnx(program: Program, file: Path) -> None:
    """Write the program as an ONNX file; raise ConversionFailed if ONNX cannot represent it."""
    import torch

    # Its warnings concern missing packages and future versions; users cannot act on them.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = torch.onnx.export(
                program.exported,
                input_names=program.inputs,
                output_names=program.outputs,
                dynamo=True,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            reason = error.__cause__ or error
            first = str(reason).strip().splitlines()[0][:300]
            raise ConversionFailed(f"model: torch {torch.__version__} cannot export it to ONNX: {first}") from None
    if result is None:
        raise ConversionFailed("model: torch exported nothing, expected an ONNX program")
    result.save(str(file))
    _finish(file)


def _finish(file: Path) -> None:
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
