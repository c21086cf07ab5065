"""The source model: a torch program (torch.export) and its signature, loaded without running the author's code."""

import os
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead_contracts.errors import ContractError
from fairlead_contracts.signature import FILE as SIGNATURE_FILE
from fairlead_contracts.signature import MAX_BYTES, Signature

from .errors import ConversionFailed

if TYPE_CHECKING:
    import torch

MODEL_FILE = "model.pt2"

# The exceptions of torch's loader for files that are truncated, changed or of another type.
_BROKEN_FILE = (
    pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, ValueError, LookupError, TypeError, AttributeError,
    EOFError, OSError, AssertionError,
)  # fmt: skip


@dataclass(frozen=True)
class Program:
    """A loaded program and the names of its inputs and outputs."""

    exported: "torch.export.ExportedProgram"
    signature: Signature

    @property
    def inputs(self) -> list[str]:
        """Return the inputs' names, in order."""
        return [tensor.name for tensor in self.signature.inputs]

    @property
    def outputs(self) -> list[str]:
        """Return the outputs' names, in order."""
        return [tensor.name for tensor in self.signature.outputs]


def load_program(folder: Path) -> Program:
    """Load model.pt2 and signature.json from a model's folder; raise ConversionFailed."""
    for name in (MODEL_FILE, SIGNATURE_FILE):
        if not (folder / name).is_file():
            found = ", ".join(sorted(path.name for path in folder.iterdir()))
            raise ConversionFailed(f"model: got {found}, expected {MODEL_FILE} and {SIGNATURE_FILE}")
    # torch.export.load falls back to unpickling the file; this disables the fallback in every version of torch.
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    import torch

    try:
        exported = torch.export.load(folder / MODEL_FILE)
    except _BROKEN_FILE as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConversionFailed(f"{MODEL_FILE}: torch {torch.__version__} cannot load it: {first[:300]}") from None
    return Program(exported, _read_signature(folder / SIGNATURE_FILE))


def _read_signature(file: Path) -> Signature:
    try:
        with file.open("rb") as opened:
            signature = Signature.parse_json(opened.read(MAX_BYTES + 1), file.name)
    except ContractError as error:
        expected = "expected inputs and outputs with name, dtype and shape"
        raise ConversionFailed(f"{file.name}: {expected}: {error}") from None
    if not signature.inputs or not signature.outputs:
        raise ConversionFailed(f"{file.name}: got no inputs or no outputs, expected at least one of each")
    return signature
