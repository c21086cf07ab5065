"""Core ML: an .mlpackage, which is a folder, in one archive. It runs on Apple's devices alone; here it is inspected."""

import tempfile
import zipfile
from pathlib import Path
from typing import Any

from .errors import CannotBuild, first_line
from .importing import Program

FILE = "model.mlpackage.zip"
_PACKAGE = "model.mlpackage"
_TIME = (1980, 1, 1, 0, 0, 0)
"""Of every member, so that equal packages have equal archives."""
_TYPES = {65568: "FP32", 65552: "FP16", 131104: "INT32"}
"""Data types by Core ML's numbers."""


def build_coreml(program: Program, folder: Path) -> None:
    """Write the model for iOS 16 and later, in 16 bits as Core ML prefers; raise CannotBuild."""
    import coremltools as ct

    with tempfile.TemporaryDirectory() as scratch:
        package = Path(scratch, _PACKAGE)
        try:
            model = ct.convert(
                program.export().run_decompositions({}),
                minimum_deployment_target=ct.target.iOS16,
                outputs=[ct.TensorType(name=name) for name in program.outputs],
                skip_model_load=True,
            )
            model.save(str(package))
        except Exception as error:  # noqa: BLE001 - the converter's exceptions have no other base
            got = first_line(error)
            raise CannotBuild(f"coremltools {ct.__version__} cannot express the model: {got}") from None
        _check_structure(ct.models.MLModel(str(package), skip_model_load=True).get_spec(), program)
        with zipfile.ZipFile(folder / FILE, "w") as archive:
            for path in sorted(path for path in package.rglob("*") if path.is_file()):
                entry = zipfile.ZipInfo(str(path.relative_to(scratch)), _TIME)
                archive.writestr(entry, path.read_bytes())


def _check_structure(spec: Any, program: Program) -> None:
    """Raise CannotBuild unless the saved package has the source's input and outputs, as static tensors."""
    entries, results = list(spec.description.input), list(spec.description.output)
    if len(entries) != 1 or len(results) != len(program.outputs):
        got = f"{len(entries)} inputs and {len(results)} outputs"
        raise CannotBuild(f"the Core ML model has {got}, expected 1 and {len(program.outputs)}")
    tensor = entries[0].type.multiArrayType
    if list(tensor.shape) != list(program.sample.shape) or tensor.dataType not in _TYPES:
        got = f"{_TYPES.get(tensor.dataType, tensor.dataType)} {list(tensor.shape)}"
        raise CannotBuild(f"the Core ML model's input is {got}, expected {list(program.sample.shape)}")
    names = [value.name for value in results]
    if sorted(names) != sorted(program.outputs):
        raise CannotBuild(f"the Core ML model's outputs are {names}, expected {list(program.outputs)}")
