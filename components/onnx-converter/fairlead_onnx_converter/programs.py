"""The source model: a torch program (torch.export) and its signature, loaded without running anybody's code."""

import json
import os
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead_artifacts import Signature

from .errors import ConversionFailed

if TYPE_CHECKING:
    import torch

MODEL_FILE, SIGNATURE_FILE = "model.pt2", "signature.json"

# What torch's loader raises for files that are cut, changed or of another kind.
_BROKEN_FILE = (
    pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, ValueError, LookupError, TypeError, AttributeError,
    EOFError, OSError, AssertionError,
)  # fmt: skip


@dataclass(frozen=True)
class Program:
    """A loaded program and the names that its inputs and outputs go by."""

    exported: "torch.export.ExportedProgram"
    signature: Signature

    @property
    def inputs(self) -> list[str]:
        """Return the inputs' names, in order."""
        return [tensor["name"] for tensor in self.signature["inputs"]]

    @property
    def outputs(self) -> list[str]:
        """Return the outputs' names, in order."""
        return [tensor["name"] for tensor in self.signature["outputs"]]


def load_program(folder: Path) -> Program:
    """Load model.pt2 and signature.json of a model's folder; raise ConversionFailed."""
    for name in (MODEL_FILE, SIGNATURE_FILE):
        if not (folder / name).is_file():
            found = ", ".join(sorted(path.name for path in folder.iterdir()))
            raise ConversionFailed(f"model: got {found}, expected {MODEL_FILE} and {SIGNATURE_FILE}")
    # torch.export.load falls back to unpickling whatever the file holds; this forbids it, in every version of torch.
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
        document: Any = json.loads(file.read_bytes())
        return Signature(inputs=_read_tensors(document, "inputs"), outputs=_read_tensors(document, "outputs"))
    except (ValueError, TypeError, KeyError) as error:
        raise ConversionFailed(
            f"{SIGNATURE_FILE}: expected inputs and outputs with name, dtype and shape: {error!r}"
        ) from None


def _read_tensors(document: Any, side: str) -> Any:
    tensors = document[side]
    if not tensors:
        raise ValueError(f"{side} is empty")
    return [{key: tensor[key] for key in ("name", "dtype", "shape")} for tensor in tensors]
