"""Import an ONNX model as a torch module with static shapes, and prove that it answers as ONNX Runtime does.

An ONNX file is data, where a torch program (`.pt2`) can run code as it is loaded. Constants are folded by ONNX Runtime.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort  # type: ignore[import-untyped]
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from .errors import CannotBuild, first_line
from .nodes import Node
from .operators import OPERATORS

_PROVEN = 16
"""How many examples are compared."""
_TOLERANCE = 1e-3
_FLOAT, _INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
_SHOWN = 5


@dataclass(frozen=True)
class Program:
    """A model for batches of one example."""

    module: torch.nn.Module
    sample: torch.Tensor
    """An example, with its axis of the batch."""
    input: str
    outputs: tuple[str, ...]
    examples: NDArray[Any]
    """The examples for calibration."""

    def export(self) -> torch.export.ExportedProgram:
        """Return the program of torch that all converters read."""
        return torch.export.export(self.module, (self.sample,))


def import_model(file: Path, examples: NDArray[Any]) -> Program:
    """Import a model; raise CannotBuild, which names each node that has no counterpart."""
    try:
        graph, session = _fold(file)
    except CannotBuild:
        raise
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions have no other base
        raise CannotBuild(f"ONNX Runtime {ort.__version__} cannot load the model: {first_line(error)}") from None
    entry = session.get_inputs()[0]
    examples = examples.astype(np.int64 if "int64" in entry.type else np.float32)
    if not len(examples) or list(examples.shape[1:]) != list(entry.shape[1:]):
        got = f"{len(examples)} examples of shape {list(examples.shape[1:])}"
        raise CannotBuild(f"calibration: got {got}, expected at least one of {list(entry.shape[1:])}")
    module = _Imported(graph, entry.name).eval()
    outputs = tuple(value.name for value in graph.output)
    program = Program(module, torch.from_numpy(examples[:1].copy()), entry.name, outputs, examples)
    _prove(program, session)
    return program


def _fold(file: Path) -> tuple[onnx.GraphProto, Any]:
    """Fix the shapes and fold constants; return the graph, and a session that runs it."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        fixed, folded = Path(folder, "fixed.onnx"), Path(folder, "folded.onnx")
        model = onnx.load(str(file))
        _fix_shapes(model.graph)
        onnx.save(model, str(fixed))
        options.optimized_model_filepath = str(folded)
        session = ort.InferenceSession(str(fixed), options, providers=["CPUExecutionProvider"])
        return onnx.load(str(folded)).graph, session


def _fix_shapes(graph: onnx.GraphProto) -> None:
    """Fix the batch to one example; raise CannotBuild for what else is not static."""
    weights = {tensor.name for tensor in graph.initializer}
    entries = [value for value in graph.input if value.name not in weights]
    if len(entries) != 1:
        names = ", ".join(value.name for value in entries)
        raise CannotBuild(f"inputs: got {len(entries)} ({names}), expected one")
    kind = entries[0].type.tensor_type
    if kind.elem_type not in (_FLOAT, _INT64):
        got = onnx.TensorProto.DataType.Name(kind.elem_type)
        raise CannotBuild(f"input {entries[0].name}: got {got}, expected FLOAT or INT64")
    dims = list(kind.shape.dim)
    for axis, dim in enumerate(dims[1:], 1):
        if not dim.dim_value:
            got = dim.dim_param or "?"
            raise CannotBuild(
                f"input {entries[0].name}: axis {axis} ({got}) has no fixed size, expected one: shapes are static"
            )
    if not dims or dims[0].dim_value not in (0, 1):
        raise CannotBuild(f"input {entries[0].name}: expected batches of any size, or of 1")
    free = dims[0].dim_param
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if free and dim.dim_param == free:
                dim.dim_value = 1
    dims[0].dim_value = 1


class _Imported(torch.nn.Module):
    """Runs the nodes in their order, which torch.export follows."""

    def __init__(self, graph: onnx.GraphProto, entry: str) -> None:
        """Raise CannotBuild for nodes without a counterpart."""
        super().__init__()
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self._entry, self._results = entry, [value.name for value in graph.output]
        self._nodes = [_read_node(node, constants) for node in graph.node]
        unknown = [node.label for node in self._nodes if node.kind not in OPERATORS]
        if unknown:
            more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
            raise CannotBuild(f"no counterpart of {', '.join(unknown[:_SHOWN])}{more}")
        self._slots = {name: f"constant_{place}" for place, name in enumerate(constants)}
        for name, slot in self._slots.items():
            self.register_buffer(slot, torch.from_numpy(np.array(constants[name])))

    def forward(self, value: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the outputs."""
        values = {name: getattr(self, slot) for name, slot in self._slots.items()} | {self._entry: value}
        for node in self._nodes:
            found = OPERATORS[node.kind](node, [values[name] if name else None for name in node.inputs])
            values.update(zip(node.outputs, found if isinstance(found, tuple) else (found,), strict=True))
        return tuple(values[name] for name in self._results)


def _read_node(node: onnx.NodeProto, constants: Mapping[str, NDArray[Any]]) -> Node:
    return Node(
        kind=node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}",
        name=node.name,
        inputs=tuple(node.input),
        outputs=tuple(node.output),
        attributes={attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute},
        constants=constants,
    )


def _prove(program: Program, session: Any) -> None:
    """Raise CannotBuild unless the import answers as ONNX Runtime does."""
    for row in program.examples[:_PROVEN]:
        expected = session.run(None, {program.input: row[None]})
        try:
            with torch.no_grad():
                found = program.module(torch.from_numpy(row[None].copy()))
        except (RuntimeError, IndexError, TypeError, ValueError) as error:
            raise CannotBuild(f"torch {torch.__version__} cannot run the imported model: {first_line(error)}") from None
        for name, one, other in zip(program.outputs, expected, found, strict=True):
            array = other.numpy()
            if array.shape != one.shape or not np.allclose(array, one, rtol=_TOLERANCE, atol=_TOLERANCE):
                raise CannotBuild(f"the imported model answers otherwise than the source: output {name}")
