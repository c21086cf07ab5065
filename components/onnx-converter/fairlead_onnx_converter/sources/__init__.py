"""The formats of models that can be converted: one file each."""

from pathlib import Path

from ..errors import ConversionFailed
from .base import SourceModel
from .onnx_file import OnnxFile
from .scikit_learn import ScikitLearn
from .torch_program import TorchProgram

__all__ = ["FORMATS", "SourceModel", "load_source"]

FORMATS: tuple[type[SourceModel], ...] = (TorchProgram, ScikitLearn, OnnxFile)


def load_source(folder: Path) -> SourceModel:
    """Load the model of a folder, whichever its format is; raise ConversionFailed."""
    found = [kind for kind in FORMATS if (folder / kind.file).is_file()]
    if len(found) == 1:
        return found[0].load(folder)
    files = ", ".join(sorted(path.name for path in folder.iterdir())) or "no file"
    raise ConversionFailed(f"model: got {files}, expected one of {', '.join(kind.file for kind in FORMATS)}")
