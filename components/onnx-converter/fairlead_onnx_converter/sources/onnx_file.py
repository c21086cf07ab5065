"""ONNX files from elsewhere: model.onnx, perhaps signature.json, and what the original returned in expected.npz."""

import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Self

import onnx
from fairlead_contracts.signature import FILE as SIGNATURE_FILE
from fairlead_contracts.signature import Signature
from fairlead_datasets.archives import read_arrays
from fairlead_datasets.splits import Split
from fairlead_datasets.torch_programs import read_signature

from ..errors import ConversionFailed
from ..onnx_files import finish, read_model
from ..onnx_files import read_signature as read_onnx_signature
from .base import Arrays, SourceModel

EXPECTED_FILE = "expected.npz"
_RESERVED = {"model.onnx", "parity.json", "reference.json", "manifest.json", SIGNATURE_FILE, EXPECTED_FILE}
"""What a conversion reads or writes itself: tensor data of such a name would change after they were measured."""


class OnnxFile(SourceModel):
    """A model that its author has exported; the original is not here, only what it returned, if that was recorded."""

    name, file = "ONNX file", "model.onnx"

    def __init__(self, folder: Path, model: onnx.ModelProto, declared: Signature | None) -> None:
        self._folder, self._declared = folder, declared
        self._external = sorted(_find_external(model, folder))
        self.inputs = declared.inputs if declared else read_onnx_signature(model).inputs
        self._outputs = [value.name for value in model.graph.output]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the file and check the places of its external data."""
        declared = read_signature(folder) if (folder / SIGNATURE_FILE).is_file() else None
        return cls(folder, read_model(folder / cls.file), declared if declared and declared.outputs else None)

    def export(self, file: Path, opset: int | None) -> Signature:
        """Copy the file and its external data; strip and check it."""
        for name in (self.file, *self._external):
            target = file.parent / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._folder / name, target)
        return finish(file, opset, self._declared)

    def run(self, split: Split) -> Arrays | None:
        """Return the recorded outputs."""
        file = self._folder / EXPECTED_FILE
        if not file.is_file():
            return None
        arrays = read_arrays(file)
        names = [tensor.name for tensor in self._declared.outputs] if self._declared else self._outputs
        if missing := sorted(set(names) - arrays.keys()):
            raise ConversionFailed(f"{file.name}: got arrays {', '.join(arrays)}, expected also {', '.join(missing)}")
        for name in names:
            if arrays[name].ndim < 1 or len(arrays[name]) != len(split):
                shape = list(arrays[name].shape)
                raise ConversionFailed(
                    f"{file.name}: {name} has shape {shape}, expected {len(split)} rows, as the split"
                )
        return [arrays[name] for name in names]


def _find_external(model: onnx.ModelProto, folder: Path) -> Iterator[str]:
    """Return the files with tensor data, all of them in the model's folder; raise ConversionFailed for other places."""
    for tensor in onnx.external_data_helper._get_all_tensors(model):
        if not onnx.external_data_helper.uses_external_data(tensor):
            continue
        location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        path = PurePosixPath(location)
        inside = location and not path.is_absolute() and ".." not in path.parts and "\\" not in location
        if not inside or not (folder / path).is_file() or (folder / path).is_symlink():
            raise ConversionFailed(
                f"model.onnx: tensor {tensor.name}: got external data at {location!r}, "
                "expected a file in the model's folder"
            )
        if path.parts[0].lower() in _RESERVED:
            raise ConversionFailed(
                f"model.onnx: tensor {tensor.name}: got external data at {location!r}, expected another name than "
                f"{', '.join(sorted(_RESERVED))}"
            )
        yield location
